"""`column`: random series in which one time step tells the label, so that the step to look at is known."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator

from export.datasets.dataset import DataCard, Inputs, Samples


@dataclass(frozen=True)
class Column:
    """x ~ N(0, 10²) of shape (samples, time_steps, features), y a fair coin, x[:, attention_column, :] = y.

    The last tenth is held out.
    """

    seed: int
    samples: int = 100_000
    time_steps: int = 10
    features: int = 2
    attention_column: int = 2

    @property
    def labels(self) -> tuple[str, ...]:
        """What the coin showed."""
        return ("0", "1")

    def card(self) -> DataCard:
        """The hash is that of the generated numbers."""
        digest = hashlib.sha256(self._drawn.inputs.tobytes() + self._drawn.targets.tobytes())
        return DataCard("column", digest.hexdigest(), "generated")

    def epoch(self, random: Generator) -> Samples:
        """The first nine tenths, the same in every epoch."""
        return self._drawn.first(self.samples - self.samples // 10)

    def held_out(self) -> Samples:
        """The last tenth."""
        start = self.samples - self.samples // 10
        return Samples(self._drawn.inputs[start:], self._drawn.targets[start:])

    def fresh(self, count: int, seed: int) -> Samples:
        """`count` samples of the same kind that neither training nor validation has seen."""
        return self._draw(count, np.random.default_rng([self.seed, seed]))

    def request_body(self, row: Inputs) -> dict[str, Any]:
        """{"sequence": time × feature}."""
        return {"sequence": row.tolist()}

    @cached_property
    def _drawn(self) -> Samples:
        return self._draw(self.samples, np.random.default_rng(self.seed))

    def _draw(self, count: int, random: Generator) -> Samples:
        inputs = random.normal(0, 10, (count, self.time_steps, self.features)).astype(np.float32)
        targets = random.integers(0, 2, count)
        inputs[:, self.attention_column, :] = targets[:, None]
        return Samples(inputs, targets)
