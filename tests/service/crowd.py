"""Callers of one batcher by the dozen: what each of them did, was told, and has to be told."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.admission import Admission
from service.batch_queue import Rows
from service.pace import Pace
from service.session import Tensor
from service.timing import Timing
from tests.service.batching import ITSELF, EchoSession, LateExecutor, batcher_of, expected, input_of, turns
from tests.service.patience import PATIENCE_SECONDS


@dataclass(frozen=True)
class Call:
    """Somebody asks: the lengths of the inputs, which of them is poison, the outputs."""

    lengths: tuple[int, ...]
    poison: int | None
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class GiveUp:
    """One of those who have asked waits no longer."""

    caller: int


@dataclass(frozen=True)
class End:
    """One of the runs in threads ends."""

    run: int


@dataclass(frozen=True)
class Turns:
    """The loop goes on."""

    count: int


Step = Call | GiveUp | End | Turns


@dataclass(frozen=True)
class Place:
    """Where the runs are, and how many rows of each length one of them may have at most."""

    pace: Pace
    cores: int
    most_rows: dict[int, int]


@dataclass(eq=False)
class Caller:
    """Who asked for the inputs of these numbers, and how many runs had begun when they gave up, if they did."""

    call: Call
    numbers: tuple[int, ...]
    task: "asyncio.Task[list[Rows]]"
    given_up_after: int | None = None

    def answer(self) -> list[dict[str, list[float]]]:
        """What they have to be told."""
        return [expected(*one, self.call.outputs) for one in zip(self.numbers, self.call.lengths, strict=True)]

    def give_up(self, runs: int) -> None:
        """Wait no longer, unless already answered."""
        if self.task.cancel() and self.given_up_after is None:
            self.given_up_after = runs


class Crowd:
    """Callers of one batcher, at most four rows in a run of which; and what the loop and the admission noticed."""

    def __init__(self, place: Place, executor: Executor, mishaps: Mapping[int, str], delay_seconds: float) -> None:
        self.callers: list[Caller] = []
        self.waiting: list[int] = []
        self.complaints: list[Any] = []
        self.session = EchoSession(place.pace, mishaps)
        self._executor = executor
        self._admission = Admission(1000, self.waiting.append)
        self._batcher = batcher_of(
            "echo", "1", self.session, admission=self._admission, executor=executor, cores=place.cores,
            max_batch_size=4, max_queue_delay_seconds=delay_seconds,
        )  # fmt: skip

    def act(self, steps: Sequence[Step]) -> "Crowd":
        """Take the steps, wait until nobody waits, then ask once more: all of it still works."""
        asyncio.run(self._act(steps))
        return self

    async def _act(self, steps: Sequence[Step]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: self.complaints.append(complaint))
        for step in steps:
            await self._take(step)
        await self._settle()
        self.session.mishaps.clear()
        self._ask(Call((1, 7), None, ITSELF))
        await self._settle()

    async def _take(self, step: Step) -> None:
        match step:
            case Call():
                self._ask(step)
            case GiveUp(caller) if self.callers:
                self.callers[caller % len(self.callers)].give_up(len(self.session.runs))
            case End(run):
                self._end(run)
            case Turns(count):
                await turns(count)

    def _ask(self, asked: Call) -> None:
        first = sum(len(one.numbers) for one in self.callers) + 1
        numbers = list(range(first, first + len(asked.lengths)))
        if asked.poison is not None:
            numbers[asked.poison % len(numbers)] *= -1
        inputs = [input_of(number, length) for number, length in zip(numbers, asked.lengths, strict=True)]
        self._admission.begin(partial(self._begin, asked, inputs, tuple(numbers)))

    def _begin(self, asked: Call, inputs: Sequence[Tensor], numbers: tuple[int, ...]) -> None:
        task = asyncio.get_running_loop().create_task(self._batcher.run(inputs, asked.outputs, Timing()))
        self.callers.append(Caller(asked, numbers, task))

    def _end(self, run: int) -> bool:
        return isinstance(self._executor, LateExecutor) and self._executor.hand_over(run)

    async def _settle(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._end(0) or self._admission.waiting or not all(one.task.done() for one in self.callers):
                await turns(1)
