"""What a batcher needs in a test that has no application: sessions made by hand, threads made by hand, callers."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from models.contract import Contract
from service.admission import Admission
from service.batch_queue import Rows
from service.batcher import Batcher, Batching
from service.metrics import Unmetered
from service.pace import Pace
from service.session import Tensor, Tensors
from service.timing import Timing
from tests.service.patience import PATIENCE_SECONDS

AN_HOUR_SECONDS = 3600.0

# Any run stays on the event loop. | Up to 5 numbers in all do. | None does, and runs beside each other pay.
ON_LOOP = Pace({1: 1e-4, 8: 1e-4, 32: 1e-4}, row_values=1, long_values=1, long_seconds=1e-4)
MIXED = Pace({1: 1e-4, 8: 1e-4, 32: 1e-4}, row_values=1, long_values=11, long_seconds=1e-3)
IN_THREADS = Pace({1: 1e-3, 8: 6.4e-3, 32: 17.6e-3}, row_values=1, long_values=1, long_seconds=1e-3)

ITSELF = ("itself",)
CONTRACT = Contract.model_validate(
    {
        "format": 1,
        "task": "timeseries",
        "labels": ["0", "1"],
        "input": {"name": "sequence", "axes": ["batch", "time", "feature"]},
        "outputs": {"scores": "itself", "logits": "doubled"},
        "attention": [],
    }
)
# How a run can go wrong, beside raising.
WRONG_SIZES: dict[str, Callable[[Tensor], Tensor]] = {
    "lacks a row": lambda rows: rows[:-1],
    "has a row too many": lambda rows: np.concatenate([rows, rows[-1:]]),
    "has no rows": lambda rows: np.asarray(rows.sum()),
}
MISHAPS = ("raises", *WRONG_SIZES)


def batcher_of(name: str, version: str, session: Any, **batching: Any) -> Batcher:
    """A batcher with room for a thousand inputs, and two threads."""
    settings: dict[str, Any] = {"admission": Admission(1000), "executor": ThreadPoolExecutor(2), **batching}
    return Batcher(session, Batching(**settings), Unmetered().of_model(name, version))


@dataclass(frozen=True)
class Ran:
    """One run: the numbers of its rows, how long they are, the outputs asked for, and what was wrong with it."""

    numbers: tuple[int, ...]
    length: int
    outputs: tuple[str, ...]
    error: str | None = None


class EchoSession:
    """Answers each row with itself and its double, and notes every run. Negative rows are poison: their run raises.
    `mishaps`: which runs go wrong whatever is in them, and how.
    """

    def __init__(self, pace: Pace, mishaps: Mapping[int, str] | None = None) -> None:
        self.contract = CONTRACT
        self.pace = pace
        self.mishaps = dict(mishaps or {})
        self.runs: list[Ran] = []
        self._lock = threading.Lock()

    @property
    def batches(self) -> list[tuple[int, ...]]:
        """The numbers in each run so far, as the runs began."""
        return [run.numbers for run in self.runs]

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """(batch, length) each."""
        numbers = tuple(rows[:, 0].astype(int).tolist())
        with self._lock:
            mishap = self.mishaps.get(len(self.runs))
            run = Ran(numbers, rows.shape[1], tuple(outputs))
            self.runs.append(replace(run, error=self._error(run, mishap)))
            error = self.runs[-1].error
        tensors = {name: {"itself": rows, "doubled": 2 * rows}[name] for name in outputs}
        if mishap in WRONG_SIZES and min(numbers) >= 0:
            tensors[outputs[-1]] = WRONG_SIZES[mishap](rows)
        elif error:
            raise ArithmeticError(error)
        return tensors

    def _error(self, run: Ran, mishap: str | None) -> str | None:
        if min(run.numbers) < 0:
            return f"poison {min(run.numbers)}"
        if mishap in WRONG_SIZES:
            return f"output '{run.outputs[-1]}' has not one row for each of {len(run.numbers)}"
        return mishap and f"run {len(self.runs)}"


class HeldSession(EchoSession):
    """Its runs in threads end only when they are let go."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(pace)
        self._begun = threading.Semaphore(0)
        self._may_end = threading.Semaphore(0)

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """As above, later."""
        try:
            return super().run(rows, outputs)
        finally:
            if rows.shape[1] > self.pace.values_on_loop:
                self._begun.release()
                assert self._may_end.acquire(timeout=PATIENCE_SECONDS), "nobody let the run go"

    async def begun(self) -> None:
        """Once one more run has begun."""
        assert await asyncio.to_thread(self._begun.acquire, True, PATIENCE_SECONDS), "no run began"

    def let_go(self, runs: int = 1000) -> None:
        """So many runs may end."""
        self._may_end.release(runs)


class LateExecutor(Executor):
    """Threads made by hand: runs at once what it is given, hands the result over when it is told to."""

    def __init__(self) -> None:
        self._late: list[Callable[[], None]] = []

    def submit(self, run: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        """Begin a run."""
        job: Future[Any] = Future()
        try:
            self._late.append(partial(job.set_result, run(*arguments, **named)))
        except ArithmeticError as error:
            self._late.append(partial(job.set_exception, error))
        return job

    def hand_over(self, which: int = 0) -> bool:
        """End a run, whichever of them; whether there was one."""
        if self._late:
            self._late.pop(which % len(self._late))()
            return True
        return False


def input_of(number: int, length: int = 1) -> Tensor:
    """An input that is told apart by its number."""
    return np.full(length, number, np.float32)


def call(
    batcher: Batcher, *numbers: int, length: int = 1, outputs: tuple[str, ...] = ITSELF
) -> "asyncio.Task[list[Rows]]":
    """Somebody who asks for inputs of these numbers. They queue in the next turn of the loop."""
    inputs = [input_of(number, length) for number in numbers]
    return asyncio.get_running_loop().create_task(batcher.run(inputs, outputs, Timing()))


def begin(admission: Admission, batcher: Batcher, *numbers: int, length: int = 1) -> None:
    """As `call`, let in as requests are."""

    def start() -> None:
        call(batcher, *numbers, length=length)

    admission.begin(start)


def told(rows: Sequence[Rows]) -> list[dict[str, list[float]]]:
    """What each row says, output by output."""
    return [{name: values[row.place].tolist() for name, values in row.outputs.tensors.items()} for row in rows]


def expected(number: int, length: int = 1, outputs: Sequence[str] = ITSELF) -> dict[str, list[float]]:
    """What the row of such an input has to say."""
    return {name: [{"itself": number, "doubled": 2 * number}[name]] * length for name in outputs}


async def turns(count: int = 10) -> None:
    """Some turns of the loop: enough for callers to queue, and for a run that may begin to begin."""
    for _ in range(count):
        await asyncio.sleep(0)
