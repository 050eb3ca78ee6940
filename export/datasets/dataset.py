"""What every data set offers to training, to the report and to the published samples."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Inputs = NDArray[np.float32] | NDArray[np.uint8]


@dataclass(frozen=True)
class Samples:
    """inputs: (sample, …) as the graph takes them; targets: (sample,), an index into the labels.

    boxes, where it is known what to look at in a picture: (sample, 4), left, top, right, bottom in pixels, edges.
    """

    inputs: Inputs
    targets: NDArray[np.int64]
    boxes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def first(self, count: int) -> "Samples":
        """The first `count` samples."""
        return Samples(self.inputs[:count], self.targets[:count], None if self.boxes is None else self.boxes[:count])


class DataCard(NamedTuple):
    """Where the data came from, for the contract's provenance."""

    name: str
    sha256: str
    licence: str


class Dataset(Protocol):
    """A frozen dataclass whose fields say everything about what it yields: the same fields, the same samples."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the network's outputs."""

    def card(self) -> DataCard:
        """Name, hash and licence."""

    def epoch(self, random: Generator) -> Samples:
        """What one epoch trains on, drawn or augmented with `random` where the data set does so.

        Raises DatasetError where the data cannot be had.
        """

    def held_out(self) -> Samples:
        """What training never sees. Raises DatasetError where the data cannot be had."""

    def request_body(self, row: Inputs) -> dict[str, Any]:
        """One input as the body of a request to the service."""
