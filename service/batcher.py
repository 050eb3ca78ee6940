"""Concurrent requests → one run: what queued while the session was busy runs together, nobody waits for company."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import structlog

from models.answer import Outputs
from models.contract import Contract
from service.admission import Admission
from service.batch_queue import BatchQueue, Rows, RunLimits, Waiting
from service.metrics import ModelMetrics
from service.pace import Pace
from service.session import Tensor, Tensors
from service.timing import Timing

# Where a few began together, a batch is taken so many turns of the event loop later: whose bytes were on their way
# begin meanwhile. A turn is as long as what there is to do in it, so that an idle loop waits for nobody; MANY have
# company enough.
TURNS, MANY = 2, 8


class BatchSizeError(RuntimeError):
    """A run gave an output that has not one row for each of its input."""


class Runnable(Protocol):
    """What a batcher needs of a session."""

    contract: Contract
    pace: Pace

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """The outputs asked for, (batch, …) each, of inputs (batch, …)."""


@dataclass(frozen=True)
class Batching:
    """How a worker's batchers work: `max_batch_size` inputs in one run; the first one queued waits for company at most
    `max_queue_delay_seconds`; `executor` runs what is too long for the event loop, `cores` of them at once.
    """

    admission: Admission
    executor: Executor
    cores: int = 1
    max_batch_size: int = 32
    max_queue_delay_seconds: float = 0.0


class _Run(NamedTuple):
    """What a run gave, when it began, how long it took."""

    tensors: Tensors
    started: float
    seconds: float


class Batcher:
    """The runs of one served model. Whoever gave up is dropped before the run, and costs nobody else an answer."""

    def __init__(self, session: Runnable, batching: Batching, metrics: ModelMetrics) -> None:
        pace = session.pace
        self.limits = RunLimits(
            pace.batch_rows(batching.max_batch_size),
            pace.values_on_loop,
            # Where a batch makes rows cheaper, one large run is better than several small ones beside each other.
            1 if pace.is_short or pace.gain >= 2 else batching.cores,
        )
        self._session = session
        self._batching = batching
        self._admission = batching.admission
        self.metrics = metrics
        metrics.used_by(self)
        self._logger = structlog.get_logger("service.batcher")
        self._queue = BatchQueue(self.limits, batching.max_queue_delay_seconds, batching.admission)
        self._running = 0
        # Kept, because asking for it costs a system call in Python 3.11.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: asyncio.Handle | None = None
        # Requests, of any model, since it was planned.
        self._begun = 0

    @property
    def queue_delay_seconds(self) -> float:
        """The longest time that the first one queued waits for company."""
        return self._batching.max_queue_delay_seconds

    async def run(self, inputs: Sequence[Tensor], outputs: tuple[str, ...], timing: Timing) -> list[Rows]:
        """One row for each of the inputs, in their order. Those of one shape run together, in slices of at most
        `max_batch_size`.

        Raises Overloaded; whatever the session raises for these inputs alone; BatchSizeError.
        """
        if len(inputs) == 1:
            return [await self.run_one(inputs[0][np.newaxis], outputs, timing)]
        self._admission.enter(len(inputs))
        slices = list(self._slices(inputs))
        waiting = [self._queued(np.stack([inputs[it] for it in indices]), outputs, timing) for indices in slices]
        rows: dict[int, Rows] = {}
        for indices, done in zip(slices, await self._answered(waiting), strict=True):
            rows |= zip(indices, done.each(), strict=True)
        return [rows[index] for index in range(len(inputs))]

    async def run_one(self, row: Tensor, outputs: tuple[str, ...], timing: Timing) -> Rows:
        """What becomes of a tensor of one row. Raises as `run`."""
        waiting = Waiting(row, outputs, timing)
        self.put(waiting)
        try:
            return await waiting
        except BaseException:
            self._give_up(waiting)
            raise

    def put(self, waiting: Waiting) -> None:
        """It runs with others of its kind, and is told. Raises Overloaded."""
        self._admission.enter(waiting.size)
        self._line_up(waiting)

    def withdraw(self, waiting: Waiting) -> None:
        """Nobody waits for it any more: it is not run, unless it runs already."""
        self._queue.withdraw(waiting)

    def withdraw_row(self, waiting: Waiting, row: int) -> bool:
        """The same of one of its rows; whether it is out of it, so that the others are one fewer."""
        return self._queue.withdraw_row(waiting, row)

    async def run_tensor(self, rows: Tensor, outputs: tuple[str, ...], timing: Timing) -> Tensors:
        """The outputs asked for, (row, …) each, of inputs (row, …), which run in slices of at most `max_batch_size`.

        Raises as `run`.
        """
        self._admission.enter(len(rows))
        most = self.limits.most_rows(rows.shape[1:])
        slices = [rows[first : first + most] for first in range(0, len(rows), most)]
        parts = await self._answered([self._queued(one, outputs, timing) for one in slices])
        if len(parts) == 1:
            return parts[0].tensors()
        tensors = [part.tensors() for part in parts]
        return {name: np.concatenate([one[name] for one in tensors]) for name in outputs}

    async def _answered(self, waiting: list[Waiting]) -> list[Rows]:
        try:
            if len(waiting) == 1:
                return [await waiting[0]]
            return await asyncio.gather(*[one.future() for one in waiting])
        except BaseException:
            # The caller gave up, or one of its runs failed: it waits for none of them, and its places are free.
            for one in waiting:
                self._give_up(one)
            raise

    def _give_up(self, one: Waiting) -> None:
        one.cancel()
        self._queue.withdraw(one)

    def _slices(self, inputs: Sequence[Tensor]) -> Iterator[list[int]]:
        """The indices of the inputs, those of one shape together: only they fit into one tensor."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, one in enumerate(inputs):
            groups.setdefault(one.shape, []).append(index)
        for shape, indices in groups.items():
            most = self.limits.most_rows(shape)
            for start in range(0, len(indices), most):
                yield indices[start : start + most]

    def _queued(self, rows: Tensor, outputs: tuple[str, ...], timing: Timing) -> Waiting:
        waiting = Waiting(rows, outputs, timing)
        self._line_up(waiting)
        return waiting

    def _line_up(self, waiting: Waiting) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._queue.put(waiting)
        if self._batching.max_queue_delay_seconds > 0:
            self._plan()
        elif self._next is None:
            self._next = self._loop.call_soon(self._look_around)

    def _look_around(self) -> None:
        # Who began in the turn in which the first one was queued is known now. Alone it waits for nobody.
        self._take_after(TURNS if 1 < self._admission.together < MANY else 0)

    def _plan(self) -> None:
        """The next batch is taken in the next turn of the loop, or once the first of its kind has waited its time."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        left = self._queue.seconds_left(self._running)
        if left is None:
            return
        assert self._loop is not None, "something was queued"
        if left > 0:
            self._next = self._loop.call_later(left, self._take_after, 0)
        else:
            self._next = self._loop.call_soon(self._take_after, 0)

    def _take_after(self, turns: int) -> None:
        assert self._loop is not None, "something was queued"
        self._begun += self._admission.together
        if turns:
            self._next = self._loop.call_soon(self._take_after, turns - 1)
        else:
            self._take()

    def _take(self) -> None:
        self._next = None
        # Turns in which many begin, or are refused, are long: one run for all of them would leave the queue behind.
        left, self._begun = max(1, self._begun), 0
        is_due = True
        while is_due and left > 0:
            batch = self._queue.take(self._running)
            if batch:
                left -= sum([one.size for one in batch])
                self._start(batch)
            is_due = self._queue.seconds_left(self._running) == 0
        self._plan()

    def _start(self, batch: list[Waiting]) -> None:
        shape, outputs = batch[0].key
        try:
            rows = batch[0].rows if len(batch) == 1 else np.concatenate([one.rows for one in batch])
            if self.limits.is_short(shape):
                self._tell(batch, self._timed(rows, outputs))
            else:
                self._start_in_thread(batch, rows, outputs)
        except Exception as error:  # noqa: BLE001  # the edge of a loop that must live: told to the callers
            self._fail(batch, error)

    def _start_in_thread(self, batch: list[Waiting], rows: Tensor, outputs: tuple[str, ...]) -> None:
        assert self._loop is not None, "something was queued"
        run = self._loop.run_in_executor(self._batching.executor, self._timed, rows, outputs)
        self._running += 1
        run.add_done_callback(partial(self._end, batch))

    def _end(self, batch: list[Waiting], run: "asyncio.Future[_Run]") -> None:
        self._running -= 1
        try:
            self._tell(batch, run.result())
        except asyncio.CancelledError:
            # The threads are closed: the service ends.
            for one in batch:
                one.cancel()
        except Exception as error:  # noqa: BLE001  # as above
            self._fail(batch, error)
        self._plan()

    def _timed(self, rows: Tensor, outputs: tuple[str, ...]) -> _Run:
        started = time.perf_counter()
        tensors = self._session.run(rows, outputs)
        return _Run(tensors, started, time.perf_counter() - started)

    def _tell(self, batch: list[Waiting], run: _Run) -> None:
        count = sum([one.size for one in batch])
        for name, values in run.tensors.items():
            if values.shape[:1] != (count,):
                raise BatchSizeError(f"output '{name}' has not one row for each of {count}")
        told = Outputs(self._session.contract, run.tensors)
        first = 0
        for one in batch:
            one.timing.queue += run.started - one.since
            one.timing.inference += run.seconds
            if not one.done():
                one.set_result(Rows(told, first, one.size))
            first += one.size
        assert self._loop is not None, "something was queued"
        # Once the callers have gone on.
        self._loop.call_soon(self._count, batch, told, count, run)

    def _count(self, batch: list[Waiting], told: Outputs, count: int, run: _Run) -> None:
        self.metrics.ran(told, count, run.seconds)
        self.metrics.queued([run.started - one.since for one in batch for _ in range(one.requests)])

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        """One bad input must not take the others' answers: a batch that failed runs again, one request at a time."""
        requests = sum(one.requests for one in batch)
        if requests == 1:
            if not batch[0].done():
                batch[0].set_exception(error)
            return
        self._logger.warning("batch failed, its requests run alone", requests=requests, error=type(error).__name__)
        for waiting in batch:
            for one in waiting.one_by_one():
                if not one.done():
                    self._start([one])
