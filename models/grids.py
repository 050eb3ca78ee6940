"""The numbers of a picture: an answer's nested list brought to one or two axes, and to as many cells as can be seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """An axis as it is drawn: `step` neighbouring positions of its `length` share a cell."""

    name: str
    length: int
    step: int

    @property
    def starts(self) -> range:
        """The first position of each cell."""
        return range(0, self.length, self.step)


@dataclass(frozen=True)
class Grid:
    """`values` has the axes of `axes`, one or two: (x,) or (y, x)."""

    axes: tuple[Axis, ...]
    values: NDArray[np.float64]

    @property
    def x(self) -> Axis:
        """The axis that is drawn from left to right."""
        return self.axes[-1]

    @property
    def around_zero(self) -> tuple[float, float]:
        """A range with zero in its middle that holds every value."""
        most = float(abs(self.values).max()) or 1.0
        return -most, most

    def rows(self) -> list[dict[str, float]]:
        """A record for each cell: its value, and the first of its positions on each axis."""
        channels = ("y", "x")[-len(self.axes) :]
        places = product(*(axis.starts for axis in self.axes))
        values = self.values.ravel().tolist()
        return [
            {**dict(zip(channels, place, strict=True)), "value": value}
            for place, value in zip(places, values, strict=True)
        ]


def grid(
    nested: Sequence[Any], axes: Sequence[str], shown: Sequence[str], most: int, summed: Collection[str] = ()
) -> Grid:
    """The numbers over the `shown` axes, at most `most` cells along each. The other axes, and neighbours that share a
    cell, are summed where the axis is one of `summed` and averaged elsewhere."""
    values = np.asarray(nested, np.float64)
    left = list(axes)
    for axis in [axis for axis in axes if axis not in shown]:
        reduce = np.sum if axis in summed else np.mean
        values = reduce(values, axis=left.index(axis))
        left.remove(axis)
    values = values.transpose([left.index(axis) for axis in shown])
    drawn = tuple(Axis(name, length, -(-length // most)) for name, length in zip(shown, values.shape, strict=True))
    for number, along in enumerate(drawn):
        values = _merged(values, number, along, is_sum=along.name in summed)
    return Grid(drawn, values)


def _merged(values: NDArray[np.float64], number: int, axis: Axis, is_sum: bool) -> NDArray[np.float64]:
    if axis.step == 1:
        return values
    sums: NDArray[np.float64] = np.add.reduceat(values, list(axis.starts), axis=number)
    if is_sum:
        return sums
    sizes = np.minimum(axis.step, axis.length - np.array(axis.starts))
    means: NDArray[np.float64] = sums / np.expand_dims(sizes, tuple(n for n in range(values.ndim) if n != number))
    return means
