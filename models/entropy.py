"""How evenly attention is spread: its entropy along an axis, from 0 (all in one place) to 1 (evenly)."""

import math

import numpy as np
from numpy.typing import NDArray

# Its logarithm is finite, and zero times it is zero.
SMALLEST = np.finfo(np.float32).tiny


def entropy_ratios(weights: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Shannon's entropy of the weights along an axis, divided by the logarithm of the axis' length, averaged over all
    other axes but the first: (batch, …) → (batch,). The weights are at least 0 and sum to 1 along the axis, as a
    softmax writes them; NaN where one of them is NaN.
    """
    assert axis % weights.ndim != 0, "the first axis is the batch"
    batch, length = weights.shape[0], weights.shape[axis]
    if length == 1:
        return np.zeros(batch, np.float32)
    # Entropy is a sum and so is the mean: one sum over all axes, whichever of them is the axis.
    rows = weights.reshape(batch, -1)  # (batch, all others)
    sums = np.vecdot(rows, np.log(np.maximum(rows, SMALLEST)))
    ratios = sums * (-length / (rows.shape[1] * math.log(length)))
    # Rounding may reach past either end.
    return np.minimum(np.maximum(ratios, 0), 1)  # type: ignore[no-any-return]
