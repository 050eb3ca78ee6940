"""How evenly attention is spread, held against the definition written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.entropy import entropy_ratios

# Powers of two: their shares of a sum are many times each other, and 2^-140 of it is less than float32 holds whole.
EXPONENTS = st.one_of(st.integers(-140, 0), st.just(-1000))


def _written_out(weights: NDArray[np.float32], axis: int) -> list[float]:
    """-Σ p log p / log n of every line along the axis, averaged over the lines of each row."""
    ratios = []
    for row in np.moveaxis(weights, axis, -1).tolist():
        lines = np.asarray(row).reshape(-1, weights.shape[axis]).tolist()
        entropies = [-sum(p * math.log(p) for p in line if p > 0) for line in lines]
        largest = math.log(weights.shape[axis])
        ratios.append(sum(entropies) / len(entropies) / largest if largest else 0.0)
    return ratios


def _distributions(shape: tuple[int, ...], axis: int, seed: int = 0) -> NDArray[np.float32]:
    weights = np.random.default_rng(seed).exponential(size=shape) ** 3
    return np.asarray(weights / weights.sum(axis=axis, keepdims=True), np.float32)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((1, 10, 32), 1),  # batch, time, unit
        ((32, 10, 32), 1),
        ((32, 10, 32), -1),
        ((5, 7, 9), 2),
        ((3, 16), 1),
        ((2, 3, 4, 5), 2),
        ((2, 1000), 1),
        ((4, 1, 3), 1),
    ],
)
def test_it_is_the_definition(shape: tuple[int, ...], axis: int) -> None:
    """Whatever axes there are, one ratio a row, in float32's precision."""
    weights = _distributions(shape, axis)

    ratios = entropy_ratios(weights, axis)

    assert ratios.shape == (shape[0],)
    assert ratios.dtype == np.float32
    np.testing.assert_allclose(ratios, _written_out(weights, axis), atol=2e-6)


@given(
    arrays.arrays(np.int64, arrays.array_shapes(min_dims=2, max_dims=4, max_side=6), elements=EXPONENTS), st.integers(1)
)
def test_no_distribution_leaves_the_range(exponents: NDArray[np.int64], place: int) -> None:
    """Zeros, weights too small to be whole, and all others: within 0 and 1, and as defined."""
    axis = 1 + place % (exponents.ndim - 1)
    relative = np.exp2((exponents - exponents.max(axis=axis, keepdims=True)).astype(np.float64))
    weights = (relative / relative.sum(axis=axis, keepdims=True)).astype(np.float32)

    ratios = entropy_ratios(weights, axis)

    assert ((ratios >= 0) & (ratios <= 1)).all()
    np.testing.assert_allclose(ratios, _written_out(weights, axis), atol=2e-6)


def test_its_ends_mean_one_place_and_evenly() -> None:
    """All the weight at one step is 0, the same at every step is 1, at two of ten steps log 2 of log 10."""
    weights = np.zeros((3, 10, 4), np.float32)
    weights[0, 6] = 1
    weights[1] = 0.1
    weights[2, 2:4] = 0.5

    ratios = entropy_ratios(weights, 1)

    np.testing.assert_allclose(ratios, [0, 1, math.log(2) / math.log(10)], atol=1e-6)


def test_an_axis_of_one_place_is_one_place() -> None:
    """Nothing is divided by log 1."""
    ratios = entropy_ratios(np.ones((2, 1, 3), np.float32), 1)

    assert ratios.tolist() == [0, 0]


def test_weights_that_lie_apart_in_memory_are_read_as_they_are() -> None:
    """A view on a larger array, turned round."""
    weights = _distributions((4, 6, 10), 2)

    turned = entropy_ratios(weights[::2].transpose(0, 2, 1), 1)

    np.testing.assert_array_almost_equal(turned, entropy_ratios(weights, 2)[::2])


def test_what_is_no_number_shows() -> None:
    """NaN in a row is that row's alone."""
    weights = _distributions((2, 10, 4), 1)
    weights[0, 3, 1] = np.nan

    ratios = entropy_ratios(weights, 1)

    assert np.isnan(ratios).tolist() == [True, False]
