"""What a picture shows of an answer's numbers is those numbers, or sums and means of them that can be named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.grids import grid

LENGTHS = st.integers(1, 40)


def test_axes_are_put_in_the_order_in_which_they_are_drawn() -> None:
    """(time, unit) is drawn with units from top to bottom: a record says which is which."""
    weights = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]

    drawn = grid(weights, ("time", "unit"), ("unit", "time"), 100)

    assert [axis.name for axis in drawn.axes] == ["unit", "time"]
    assert len(drawn.rows()) == 6
    for record in drawn.rows():
        assert record["value"] == weights[int(record["x"])][int(record["y"])]


@pytest.mark.parametrize(("summed", "expected"), [((), [2.0, 5.0]), (("head",), [4.0, 10.0])])
def test_an_axis_that_is_not_drawn_is_averaged_or_summed(summed: tuple[str, ...], expected: list[float]) -> None:
    """Weights are averaged as the summary does it; shares of a logit are added."""
    values = [[1.0, 4.0], [3.0, 6.0]]

    assert grid(values, ("head", "time"), ("time",), 100, summed).values.tolist() == expected


@given(rows=LENGTHS, columns=LENGTHS, most=st.integers(1, 12))
def test_neighbours_that_share_a_cell_keep_their_sum(rows: int, columns: int, most: int) -> None:
    """However many cells there are, they are few enough, cover every position once and add up to the same."""
    values = np.random.default_rng(rows).normal(size=(rows, columns))

    drawn = grid(values.tolist(), ("row", "column"), ("row", "column"), most, summed=("row", "column"))

    assert max(drawn.values.shape) <= most
    assert drawn.values.sum() == pytest.approx(values.sum(), abs=1e-9)
    down, along = drawn.axes
    for record in drawn.rows():
        top, left = int(record["y"]), int(record["x"])
        assert record["value"] == pytest.approx(values[top : top + down.step, left : left + along.step].sum())


@given(length=LENGTHS, most=st.integers(1, 12))
def test_neighbours_that_are_no_shares_are_averaged(length: int, most: int) -> None:
    """The last cell may hold fewer positions: its mean is over those."""
    values = np.random.default_rng(length).normal(size=length)

    drawn = grid(values.tolist(), ("channel",), ("channel",), most)

    for record in drawn.rows():
        start = int(record["x"])
        assert record["value"] == pytest.approx(values[start : start + drawn.x.step].mean())


def test_numbers_that_need_no_cell_to_share_are_left_as_they_are() -> None:
    """Not a bit is lost on the way from the answer to the picture."""
    values = [0.1, 1e-30, -3.4028234663852886e38]

    assert [record["value"] for record in grid(values, ("time",), ("time",), 3).rows()] == values
