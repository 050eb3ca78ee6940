"""How evenly attention is spread, of many runs at once: for one alone NumPy is asked for longer than it adds up."""

from collections.abc import Callable

import numpy as np

from models.answer import Floats, Outputs
from models.contract import Attention
from models.entropy import entropy_ratios

# So many weights are kept until they are looked at, and one run's more: that takes a tenth of a millisecond.
MOST_WEIGHTS = 2**15


class Entropies:
    """Of a model's attention. `tell` is given an output's name and the entropy ratio of each row."""

    def __init__(self, tell: Callable[[str, Floats], None]) -> None:
        self._tell = tell
        # Only arrays of one shape can be joined.
        self._noted: dict[tuple[str, tuple[int, ...]], tuple[Attention, list[Floats]]] = {}
        self._size = 0

    def note(self, outputs: Outputs) -> None:
        """One run's attention outputs that are distributions, where they were fetched."""
        for entry, weights in outputs.distributions():
            self._noted.setdefault((entry.output, weights.shape[1:]), (entry, []))[1].append(weights)
            self._size += weights.size
        if self._size >= MOST_WEIGHTS:
            self.count()

    def count(self) -> None:
        """Tell of all that was noted since the last time."""
        noted, self._noted, self._size = self._noted, {}, 0
        for entry, weights in noted.values():
            axis = entry.axes.index(entry.sums_to_one_over or "")
            self._tell(entry.output, entropy_ratios(np.concatenate(weights), axis))
