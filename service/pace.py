"""How long a model's runs take, as its warm-up measured them, and what follows: where to run, how many rows at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A hop to a thread and back takes 0.1 ms beside an idle event loop, and several times that beside a busy one.
HOP_SECONDS = 200e-6
# No run holds up the event loop longer.
LONGEST_ON_LOOP_SECONDS = 500e-6
# A larger batch has to make a row this much cheaper.
WORTHWHILE = 0.8
# So often a run is repeated, and more often while that takes no longer than so long: whatever else ran meanwhile only
# adds, and must not make a short run a long one for good.
REPETITIONS, MOST_REPETITIONS = 3, 20
REPEATED_SECONDS = 0.003
MEASURED_ROWS = (1, 8, 32)
# Larger batches are not tried where they would hold up the start.
MOST_WARM_UP_SECONDS = 0.1


@dataclass(frozen=True)
class Pace:
    """Seconds of a run by its rows, all of one size; and of one row that is `long_values` / `row_values` as large,
    where rows vary. `row_values`: numbers in one row.
    """

    seconds: dict[int, float]
    row_values: int
    long_values: int
    long_seconds: float

    @property
    def gain(self) -> float:
        """How many times cheaper a row is in the best batch than alone."""
        return self.seconds[1] / min(seconds / rows for rows, seconds in self.seconds.items())

    def batch_rows(self, most: int) -> int:
        """The fewest rows, of those measured, beyond which a row does not become much cheaper; at most `most`.
        Where the largest of MEASURED_ROWS is the best, it may be larger still.
        """
        hop = 0 if self.is_short else HOP_SECONDS
        costs = {rows: (seconds + hop) / rows for rows, seconds in self.seconds.items()}
        enough = min(rows for rows, cost in costs.items() if cost * WORTHWHILE <= min(costs.values()))
        return most if enough == max(MEASURED_ROWS) else min(enough, most)

    @property
    def is_short(self) -> bool:
        """A run of one row takes less than the way to a thread and back."""
        return self.seconds[1] < HOP_SECONDS

    @property
    def values_on_loop(self) -> int:
        """The numbers in the largest input whose run may stay on the event loop; 0: none."""
        if not self.is_short:
            return 0
        rows = max(self.seconds)
        per_value = max(
            (self.seconds[rows] - self.seconds[1]) / max((rows - 1) * self.row_values, 1),
            (self.long_seconds - self.seconds[1]) / max(self.long_values - self.row_values, 1),
            1e-12,
        )
        return self.row_values + int((LONGEST_ON_LOOP_SECONDS - self.seconds[1]) / per_value)


def pace_of(document: dict[str, Any]) -> Pace:
    """From JSON, whose keys are texts."""
    return Pace(**{**document, "seconds": {int(rows): seconds for rows, seconds in document["seconds"].items()}})


def measured(run: Callable[[int, int], object], row_values: int, long_steps: int) -> Pace:
    """The pace of `run(rows, times)`: so many rows, each so many times as long as the shortest that is measured."""
    seconds: dict[int, float] = {}
    for rows in MEASURED_ROWS:
        if seconds and rows * seconds[1] > MOST_WARM_UP_SECONDS:
            break
        seconds[rows] = _least(run, rows, 1)
    long_seconds = _least(run, 1, long_steps) if long_steps > 1 else seconds[1]
    return Pace(seconds, row_values, row_values * long_steps, long_seconds)


def _least(run: Callable[[int, int], object], rows: int, times: int) -> float:
    taken: list[float] = []
    while len(taken) < REPETITIONS or (len(taken) < MOST_REPETITIONS and sum(taken) < REPEATED_SECONDS):
        started = time.perf_counter()
        run(rows, times)
        taken.append(time.perf_counter() - started)
    return min(taken)
