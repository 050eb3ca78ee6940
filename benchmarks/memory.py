"""The memory of a server's processes: what is resident, the share that is nobody else's, and whether it grows."""

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

KIB_IN_MIB = 1024
# Of all answers, so many have been given before memory counts: caches and pools are full.
WARM_UP, FIRST, LAST = 0.05, 0.1, 0.9
MOST_GROWTH = 0.05
ANSWERS_OF_SLOPE = 100_000

Item = TypeVar("Item")


@dataclass(frozen=True)
class Sample:
    """Memory after so many answers, in MiB: RSS of each process, the parent first; PSS of all together."""

    answered: int
    seconds: float
    resident: Sequence[float]
    proportional: float

    @property
    def all_resident(self) -> float:
        """RSS of all processes."""
        return sum(self.resident)


@dataclass(frozen=True)
class Growth:
    """RSS of all processes, in MiB: the mean at the end of the first tenth, that of the last tenth, and the slope of
    the line through all after the first tenth, for each 100,000 answers.
    """

    before: float
    after: float
    slope: float

    @property
    def share(self) -> float:
        """Of what it was."""
        return self.after / self.before - 1

    @property
    def is_flat(self) -> bool:
        """Whether it is so little that nothing is lost."""
        return self.share <= MOST_GROWTH


def growth(samples: Sequence[Sample]) -> Growth | None:
    """From first to last; None where there are too few samples to tell. The first half of the first tenth is warm-up;
    where no sample fell into its second half, the next one stands for it.
    """
    whole = samples[-1].answered if samples else 0
    later = [it for it in samples if it.answered > FIRST * whole]
    first = [it for it in samples if WARM_UP * whole < it.answered <= FIRST * whole] or later[:1]
    last = [it for it in later if it.answered > LAST * whole]
    if len(later) < 2 or first[0] in last:
        return None
    line = statistics.linear_regression([it.answered for it in later], [it.all_resident for it in later])
    before, after = (statistics.mean(it.all_resident for it in part) for part in (first, last))
    return Growth(before, after, line.slope * ANSWERS_OF_SLOPE)


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, two or more, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def resident_mib(pids: Iterable[int]) -> list[float]:
    """RSS of each process. What processes share is counted in each of them."""
    return [_read(Path(f"/proc/{pid}/status"), "VmRSS") for pid in pids]


def proportional_mib(pids: Iterable[int]) -> float:
    """PSS of all together: what they share is counted once."""
    return sum(_read(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids)


def _read(file: Path, name: str) -> float:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE)
    except OSError:
        return 0.0  # it ended meanwhile
    return int(found[1]) / KIB_IN_MIB if found else 0.0
