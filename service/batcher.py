"""Concurrent requests → one run: what queued while the session was busy runs together, nobody waits for company."""

import asyncio
import math
import time
from collections import deque
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
from service.metrics import ModelMetrics
from service.pace import Pace
from service.session import Tensor, Tensors
from service.timing import Timing

Key = tuple[tuple[int, ...], tuple[str, ...]]


class BatchSizeError(RuntimeError):
    """A run gave an output that has not one row for each of its input."""


class Runnable(Protocol):
    """What a batcher needs of a session."""

    contract: Contract
    pace: Pace

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """The outputs asked for, (batch, …) each, of inputs (batch, …)."""


class Row(NamedTuple):
    """One input's row in the outputs of the run that it was part of."""

    outputs: Outputs
    place: int


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


@dataclass(eq=False, slots=True)
class _Waiting:
    """Rows of one request, which stay together, and who waits for them."""

    key: Key
    rows: Tensor
    done: "asyncio.Future[list[Row]]"
    timing: Timing
    since: float


class _Run(NamedTuple):
    """What a run gave, when it began, how long it took."""

    tensors: Tensors
    started: float
    seconds: float


class Batcher:
    """The runs of one served model. Only equal row shapes and equal output sets meet in a run; the kinds take turns.
    Whoever gave up is dropped before the run, and costs nobody else an answer.
    """

    def __init__(self, session: Runnable, batching: Batching, metrics: ModelMetrics) -> None:
        pace = session.pace
        self.max_batch_size = pace.batch_rows(batching.max_batch_size)
        self.values_on_loop = pace.values_on_loop
        # Where a batch makes rows cheaper, one large run is better than several small ones beside each other.
        self.parallel_runs = 1 if pace.is_short or pace.gain >= 2 else batching.cores
        self._session = session
        self._batching = batching
        self._admission = batching.admission
        self.metrics = metrics
        self._logger = structlog.get_logger("service.batcher")
        # Of each key that something waits for. The first key is the next one's turn.
        self._queues: dict[Key, deque[_Waiting]] = {}
        self._running = 0
        # Kept, because asking for it costs a system call in Python 3.11.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: asyncio.Handle | None = None

    async def run(self, inputs: Sequence[Tensor], outputs: tuple[str, ...], timing: Timing) -> list[Row]:
        """One row for each of the inputs, in their order. Those of one shape run together, in slices of at most
        `max_batch_size`.

        Raises Overloaded; whatever the session raises for these inputs alone; BatchSizeError.
        """
        self._admission.enter(len(inputs))
        if len(inputs) == 1:
            return (await self._answered([self._queued(inputs[0][np.newaxis], outputs, timing)]))[0]
        slices = list(self._slices(inputs))
        waiting = [self._queued(np.stack([inputs[it] for it in indices]), outputs, timing) for indices in slices]
        rows: dict[int, Row] = {}
        for indices, done in zip(slices, await self._answered(waiting), strict=True):
            rows |= zip(indices, done, strict=True)
        return [rows[index] for index in range(len(inputs))]

    async def _answered(self, waiting: "list[_Waiting]") -> list[list[Row]]:
        try:
            if len(waiting) == 1:
                return [await waiting[0].done]
            return await asyncio.gather(*[one.done for one in waiting])
        except BaseException:
            # The caller gave up, or one of its runs failed: it waits for none of them, and its places are free.
            for one in waiting:
                self._withdraw(one)
            raise

    def _withdraw(self, one: "_Waiting") -> None:
        one.done.cancel()
        queue = self._queues.get(one.key)
        if queue and one in queue:
            queue.remove(one)
            self._admission.leave(len(one.rows))
            if not queue:
                del self._queues[one.key]

    def _slices(self, inputs: Sequence[Tensor]) -> Iterator[list[int]]:
        """The indices of the inputs, those of one shape together: only they fit into one tensor."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, one in enumerate(inputs):
            groups.setdefault(one.shape, []).append(index)
        for shape, indices in groups.items():
            most = self._most_rows(shape)
            for start in range(0, len(indices), most):
                yield indices[start : start + most]

    def _queued(self, rows: Tensor, outputs: tuple[str, ...], timing: Timing) -> "_Waiting":
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        key = (rows.shape[1:], outputs)
        waiting = _Waiting(key, rows, self._loop.create_future(), timing, time.perf_counter())
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque((waiting,))
        else:
            queue.append(waiting)
        has_delay = self._batching.max_queue_delay_seconds > 0
        if self._next is None and not has_delay and self._admission.together == 1:
            # No other request began with this one: there is nobody to wait for, but for the rest of its own call.
            self._admission.together = 0
            self._take()
        elif self._next is None or has_delay:
            self._plan()
        return waiting

    def _plan(self) -> None:
        """The next batch is taken in the next turn of the loop, or once the first of its kind has waited its time."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        key = self._next_key()
        if key is None:
            return
        assert self._loop is not None, "something was queued"
        left = self._seconds_left(key)
        if left > 0:
            self._next = self._loop.call_later(left, self._take)
        else:
            # In the next turn: those that began together with this one come before it.
            self._next = self._loop.call_soon(self._take)

    def _next_key(self) -> Key | None:
        """Whose turn it is: of those that can run now, the first, or the one that has waited long enough first."""
        can_run = (key for key in self._queues if self._running < self.parallel_runs or self._is_short(key[0]))
        if not self._batching.max_queue_delay_seconds:
            return next(can_run, None)
        return min(can_run, key=self._seconds_left, default=None)

    def _seconds_left(self, key: Key) -> float:
        """How long the kind still waits for company."""
        delay = self._batching.max_queue_delay_seconds
        queue = self._queues[key]
        if not delay or sum(len(one.rows) for one in queue) >= self._most_rows(key[0]):
            return 0
        return max(0, queue[0].since + delay - time.perf_counter())

    def _take(self) -> None:
        self._next = None
        key = self._next_key()
        batch = self._taken(key) if key else []
        if key and batch:
            self._start(batch, key)
        self._plan()

    def _start(self, batch: list[_Waiting], key: Key) -> None:
        try:
            rows = batch[0].rows if len(batch) == 1 else np.concatenate([one.rows for one in batch])
            if self._is_short(key[0]):
                self._tell(batch, self._timed(rows, key[1]))
            else:
                self._start_in_thread(batch, key, rows)
        except Exception as error:  # noqa: BLE001  # the edge of a loop that must live: told to the callers
            self._fail(batch, key, error)

    def _start_in_thread(self, batch: list[_Waiting], key: Key, rows: Tensor) -> None:
        assert self._loop is not None, "something was queued"
        run = self._loop.run_in_executor(self._batching.executor, self._timed, rows, key[1])
        self._running += 1
        run.add_done_callback(partial(self._end, batch, key))

    def _end(self, batch: list[_Waiting], key: Key, run: "asyncio.Future[_Run]") -> None:
        self._running -= 1
        try:
            self._tell(batch, run.result())
        except asyncio.CancelledError:
            # The threads are closed: the service ends.
            for one in batch:
                one.done.cancel()
        except Exception as error:  # noqa: BLE001  # as above
            self._fail(batch, key, error)
        self._plan()

    def _timed(self, rows: Tensor, outputs: tuple[str, ...]) -> "_Run":
        started = time.perf_counter()
        tensors = self._session.run(rows, outputs)
        return _Run(tensors, started, time.perf_counter() - started)

    def _taken(self, key: Key) -> list[_Waiting]:
        """The next batch of a kind, those left out of it whom nobody waits for. Then it is the next kind's turn."""
        queue = self._queues.pop(key)
        most = self._most_rows(key[0])
        if not self._is_short(key[0]):
            # Several runs at once share what there is.
            most = min(most, -(-sum(len(one.rows) for one in queue) // max(1, self.parallel_runs - self._running)))
        batch: list[_Waiting] = []
        count = left = 0
        while queue and (not batch or count + len(queue[0].rows) <= most):
            one = queue.popleft()
            left += len(one.rows)
            if not one.done.done():
                batch.append(one)
                count += len(one.rows)
        self._admission.leave(left)
        if queue:
            self._queues[key] = queue
        return batch

    def _is_short(self, shape: tuple[int, ...]) -> bool:
        """Whether runs of inputs of this shape stay on the event loop."""
        return math.prod(shape) <= self.values_on_loop

    def _most_rows(self, shape: tuple[int, ...]) -> int:
        """Inputs of this shape in one run."""
        if self._is_short(shape):
            return min(self.max_batch_size, self.values_on_loop // math.prod(shape))
        return self.max_batch_size

    def _tell(self, batch: list[_Waiting], run: "_Run") -> None:
        count = sum(len(one.rows) for one in batch)
        for name, values in run.tensors.items():
            if np.shape(values)[:1] != (count,):
                raise BatchSizeError(f"output '{name}' has not one row for each of {count}")
        told = Outputs(self._session.contract, run.tensors)
        first = 0
        for one in batch:
            one.timing.queue += run.started - one.since
            one.timing.inference += run.seconds
            if not one.done.done():
                one.done.set_result([Row(told, first + index) for index in range(len(one.rows))])
            first += len(one.rows)
        assert self._loop is not None, "something was queued"
        # Once the callers have gone on.
        self._loop.call_soon(self._count, batch, told, count, run)

    def _count(self, batch: list[_Waiting], told: Outputs, count: int, run: "_Run") -> None:
        self.metrics.ran(told, count, run.seconds)
        for one in batch:
            self.metrics.queued(run.started - one.since)

    def _fail(self, batch: list[_Waiting], key: Key, error: Exception) -> None:
        """One bad input must not take the others' answers: a batch that failed runs again, one request at a time."""
        if len(batch) == 1:
            if not batch[0].done.done():
                batch[0].done.set_exception(error)
            return
        self._logger.warning("batch failed, its requests run alone", requests=len(batch), error=type(error).__name__)
        for one in batch:
            if not one.done.done():
                self._start([one], key)
