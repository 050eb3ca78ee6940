"""Values of a Prometheus histogram, noted one by one and counted together: a tenth of the library's cost for each."""

from collections.abc import Callable, Iterable

import numpy as np

from service.series import Numbers, Series


class Observations:
    """For the `numbers` of one histogram with its labels. `observe` notes a value; until `count` no scrape sees it."""

    def __init__(self, series: Series, numbers: Numbers) -> None:
        self._numbers = numbers
        self._bounds = np.array(series.bounds)
        self._noted: list[float] = []
        self.observe: Callable[[float], None] = self._noted.append
        self.observe_all: Callable[[Iterable[float]], None] = self._noted.extend

    def count(self) -> None:
        """Add what was noted since the last time. Called where values are noted, on the event loop."""
        if not self._noted:
            return
        values = np.array(self._noted)
        self._noted.clear()
        # The first bucket whose bound is not below the value, as the library has it.
        places = np.searchsorted(self._bounds, values, side="left")
        self._numbers[:-1] += np.bincount(places, minlength=len(self._bounds) + 1)
        self._numbers[-1] += values.sum()
