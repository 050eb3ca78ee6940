"""What waits for a run of one model: equal row shapes and equal output sets meet in it, and the kinds take turns."""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.answer import Outputs
from service.admission import Admission
from service.call import Outcome
from service.session import Tensor, Tensors
from service.timing import Timing

Key = tuple[tuple[int, ...], tuple[str, ...]]


class Rows(NamedTuple):
    """The rows of one who waited in the outputs of the run that they were part of: so many, from this place on."""

    outputs: Outputs
    place: int
    size: int = 1

    def each(self) -> "Iterator[Rows]":
        """One by one, in their order."""
        return (Rows(self.outputs, place) for place in range(self.place, self.place + self.size))

    def tensors(self) -> Tensors:
        """What every output of the run says of them, (row, …): views, no copies."""
        part = slice(self.place, self.place + self.size)
        return {name: values[part] for name, values in self.outputs.tensors.items()}


class Waiting(Outcome[Rows]):
    """Rows of one request, which stay together, or of several, and who waits for them."""

    def __init__(self, rows: Tensor, outputs: tuple[str, ...], timing: Timing) -> None:
        self.key: Key = (rows.shape[1:], outputs)
        self.rows = rows
        self.size = len(rows)
        self.timing = timing
        self.since = time.perf_counter()

    @property
    def requests(self) -> int:
        """How many requests' rows they are."""
        return 1

    def parted(self, rows: int) -> "list[Waiting]":
        """So many of its rows, and the rest, where they are of several requests; else all."""
        return [self]

    def one_by_one(self) -> "list[Waiting]":
        """The same, each request's alone."""
        return [self]


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Inputs in one run; numbers in one that stays on the event loop; runs in threads at once."""

    max_batch_size: int
    values_on_loop: int
    parallel_runs: int

    def is_short(self, shape: tuple[int, ...]) -> bool:
        """Whether runs of inputs of this shape stay on the event loop."""
        return math.prod(shape) <= self.values_on_loop

    def most_rows(self, shape: tuple[int, ...]) -> int:
        """Inputs of this shape in one run."""
        values = math.prod(shape)
        if values > self.values_on_loop:
            return self.max_batch_size
        return min(self.max_batch_size, self.values_on_loop // values)


class BatchQueue:
    """Who waits, kind by kind. `delay_seconds`: how long the first one of a kind waits for company at most."""

    def __init__(self, limits: RunLimits, delay_seconds: float, admission: Admission) -> None:
        self._limits = limits
        self._delay_seconds = delay_seconds
        self._admission = admission
        # Of each key that something waits for. The first key is the next one's turn.
        self._kinds: dict[Key, deque[Waiting]] = {}

    def put(self, one: Waiting) -> None:
        """It waits from now on."""
        kind = self._kinds.get(one.key)
        if kind is None:
            self._kinds[one.key] = deque((one,))
        else:
            kind.append(one)

    def withdraw(self, one: Waiting) -> None:
        """Nobody waits for it any more; its places are free, unless it runs already."""
        if self._has(one):
            self._kinds[one.key].remove(one)
            self._admission.leave(one.size)
            if not self._kinds[one.key]:
                del self._kinds[one.key]

    def withdraw_row(self, one: Waiting, row: int) -> bool:
        """Nobody waits for that row of it any more; whether it is taken out of it: not if it runs already."""
        if not self._has(one):
            return False
        if one.size == 1:
            self.withdraw(one)
        else:
            one.rows = np.delete(one.rows, row, axis=0)
            one.size -= 1
            self._admission.leave(1)
        return True

    def _has(self, one: Waiting) -> bool:
        return one in self._kinds.get(one.key, ())

    def seconds_left(self, running: int) -> float | None:
        """How long the next batch waits for company, while so many runs are in threads; None: no batch can run."""
        key = self._next_key(running)
        return None if key is None else self._seconds_left(key)

    def take(self, running: int) -> list[Waiting]:
        """The next batch, those left out of it whom nobody waits for. Then it is the next kind's turn."""
        key = self._next_key(running)
        if key is None:
            return []
        kind = self._kinds.pop(key)
        most = self._limits.most_rows(key[0])
        if not self._limits.is_short(key[0]):
            # Several runs at once share what there is.
            most = min(most, -(-sum([one.size for one in kind]) // max(1, self._limits.parallel_runs - running)))
        batch: list[Waiting] = []
        count = left = 0
        while kind:
            one, *rest = kind[0].parted(most - count)
            if batch and count + one.size > most:
                break
            kind.popleft()
            kind.extendleft(rest)
            left += one.size
            if not one.done():
                batch.append(one)
                count += one.size
        self._admission.leave(left)
        if kind:
            self._kinds[key] = kind
        return batch

    def _next_key(self, running: int) -> Key | None:
        """Whose turn it is: of those that can run now, the first, or the one that has waited long enough first."""
        can_run: Iterator[Key] = iter(self._kinds)
        if running >= self._limits.parallel_runs:
            can_run = (key for key in self._kinds if self._limits.is_short(key[0]))
        if not self._delay_seconds:
            return next(can_run, None)
        return min(can_run, key=self._seconds_left, default=None)

    def _seconds_left(self, key: Key) -> float:
        kind = self._kinds[key]
        if not self._delay_seconds or sum([one.size for one in kind]) >= self._limits.most_rows(key[0]):
            return 0
        return max(0, kind[0].since + self._delay_seconds - time.perf_counter())
