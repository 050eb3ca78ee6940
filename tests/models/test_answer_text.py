"""An answer written with its whole batch is, byte for byte, the answer that is encoded alone."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.answer import Detail, NotFiniteError, Outputs, outputs_needed
from models.answer_text import MOST_FRAMES, AnswerText
from models.contract import Contract
from tests.models.test_contract import SERIES

Tensors = dict[str, NDArray[np.float32]]

DETAILS: tuple[Detail, ...] = get_args(Detail)
CONTRACT = Contract.model_validate(SERIES)
OPENING = {"model": {"name": "imagined", "version": "3", "task": "timeseries"}}
SMALL_AND_LARGE = pytest.mark.parametrize("rows", [1, 2, 12])

# What JSON escapes, what it is made of, and what a template or a cut might take for its own.
ODD = '"\\/%{}[],:\0\x1f\x7f\u2028é√😀'
TEXTS = st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"])), max_size=6)
OPENINGS = st.fixed_dictionaries({"model": st.dictionaries(TEXTS, TEXTS, max_size=3)})
AXES = ("time", "unit", "channel")
BOUNDS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
# Rows, the sizes of the axes, and the seed of the numbers.
BATCHES = st.tuples(
    st.one_of(st.integers(1, 6), st.integers(1, 40)),
    st.fixed_dictionaries({axis: st.integers(1, 4) for axis in AXES}),
    st.integers(0, 2**32 - 1),
)
LARGEST = np.finfo(np.float32).max
SPECIAL = np.array([0.0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 0.1, 1.0, 1e16, 16777216, LARGEST, -LARGEST], np.float32)


@st.composite
def _attention(draw: st.DrawFn, output: str) -> dict[str, Any]:
    axes = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=3, unique=True))
    averaged = draw(st.lists(st.sampled_from(axes), max_size=len(axes) - 1, unique=True))
    return {
        "output": output,
        "kind": draw(st.sampled_from(["temporal", "channel", "spatial", "alignment"])),
        "axes": ["batch", *axes],
        "range": [draw(BOUNDS), draw(BOUNDS)],
        "sums_to_one_over": draw(st.sampled_from([None, *axes])),
        "average": averaged,
    }


@st.composite
def _contracts(draw: st.DrawFn) -> Contract:
    names = draw(st.lists(TEXTS.map("attention {}".format), max_size=3, unique=True))
    axes = ["batch", "class", *draw(st.lists(st.sampled_from(AXES), max_size=2, unique=True))]
    contributions = {"output": "contributions", "axes": axes, "bias": "bias"}
    members = {
        "labels": draw(st.lists(TEXTS, min_size=2, max_size=5, unique=True)),
        "attention": [draw(_attention(name)) for name in names],
        "contributions": draw(st.sampled_from([None, contributions])),
    }
    return Contract.model_validate({**SERIES, **members})


def _any_floats(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Of random bits, so of every magnitude, and special ones among them."""
    values = random.integers(0, 2**32, shape, np.uint32).view(np.float32)
    is_special = ~np.isfinite(values) | (random.random(shape) < 0.3)
    return np.where(is_special, random.choice(SPECIAL, shape), values)


def _tensors(contract: Contract, rows: int, sizes: Mapping[str, int], seed: int = 0) -> Tensors:
    random = np.random.default_rng(seed)
    lengths = {"batch": rows, "class": len(contract.labels), **sizes}
    axes_of_outputs = contract.axes_of_outputs.items()
    return {name: _any_floats(tuple(lengths[axis] for axis in axes), random) for name, axes in axes_of_outputs}


def _series(rows: int, steps: int = 7, seed: int = 0) -> Tensors:
    return _tensors(CONTRACT, rows, {"time": steps, "unit": 3}, seed)


def _alone(contract: Contract, tensors: Tensors, detail: Detail, opening: dict[str, Any]) -> list[bytes]:
    """Each row's answer, encoded by itself."""
    outputs = Outputs(contract, tensors)
    answers = [{**opening, **outputs.answer(row, detail, None)} for row in range(len(outputs.scores))]
    return [orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY) for answer in answers]


@settings(deadline=None, max_examples=150)
@given(_contracts(), OPENINGS, st.lists(BATCHES, min_size=1, max_size=4))
def test_it_is_what_the_encoder_writes_of_one_row(contract: Contract, opening: Any, batches: list[Any]) -> None:
    """Any contract, any float32, any number of rows, batch after batch, of all details in the same batch."""
    writers = {detail: AnswerText(contract, detail, opening) for detail in DETAILS}
    for rows, sizes, seed in batches:
        tensors = _tensors(contract, rows, sizes, seed)
        outputs = Outputs(contract, tensors)

        for detail, writer in writers.items():
            texts = [writer.of(outputs, row) for row in range(rows)]

            assert texts == _alone(contract, tensors, detail, opening)


def test_no_character_of_a_label_is_taken_for_a_place_to_cut() -> None:
    """Labels and the opening may be made of what JSON and templates are made of."""
    contract, opening = CONTRACT.model_copy(update={"labels": tuple(ODD)}), {"model": {"name": ODD}}
    tensors = _tensors(contract, 40, {"time": 2, "unit": 2})
    outputs, writer = Outputs(contract, tensors), AnswerText(contract, "full", opening)

    assert [writer.of(outputs, row) for row in range(40)] == _alone(contract, tensors, "full", opening)


@SMALL_AND_LARGE
@pytest.mark.parametrize("detail", DETAILS)
def test_the_outputs_needed_are_enough(rows: int, detail: Detail) -> None:
    """A run fetches no more than its detail needs; the text is made of that."""
    fetched = {name: values for name, values in _series(rows).items() if name in outputs_needed(CONTRACT, detail)}
    outputs = Outputs(CONTRACT, fetched)

    texts = [AnswerText(CONTRACT, detail, OPENING).of(outputs, row) for row in range(rows)]

    assert texts == _alone(CONTRACT, fetched, detail, OPENING)


@pytest.mark.parametrize("detail", ["summary", "full"])
def test_series_of_ever_other_lengths_are_told_in_their_own_shape(detail: Detail) -> None:
    """What is kept of earlier shapes is bounded, and neither it nor its loss shows."""
    writer = AnswerText(CONTRACT, detail, OPENING)
    lengths = range(1, MOST_FRAMES + 5)

    for steps in (*lengths, *reversed(lengths)):
        tensors = _series(2, steps, seed=steps)
        outputs = Outputs(CONTRACT, tensors)
        assert [writer.of(outputs, row) for row in range(2)] == _alone(CONTRACT, tensors, detail, OPENING)
        assert len(writer._frames) <= MOST_FRAMES


@SMALL_AND_LARGE
@pytest.mark.parametrize("labels", [2, 12])
@pytest.mark.parametrize("name", ["probabilities", "attention", "contributions", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_json_cannot_say_is_refused_alone(rows: int, labels: int, name: str, value: float) -> None:
    """Whoever asks first, that row has its error each time and the rows beside it the answers that are theirs; also
    where the number is of a label that is not predicted.
    """
    contract = CONTRACT.model_copy(update={"labels": tuple(map(str, range(labels)))})
    tensors = _tensors(contract, rows, {"time": 7, "unit": 3})
    tensors["probabilities"][:, 0] = LARGEST
    expected = _alone(contract, tensors, "summary", OPENING)
    spoilt = {name: values.copy() for name, values in tensors.items()}
    bad = rows // 2
    spoilt[name][bad].flat[-1] = value
    outputs, writer = Outputs(contract, spoilt), AnswerText(contract, "summary", OPENING)

    for row in (bad, *range(rows), bad):
        if row == bad:
            with pytest.raises(NotFiniteError, match=f"output '{name}' is not finite"):
                writer.of(outputs, row)
        else:
            assert writer.of(outputs, row) == expected[row]


@SMALL_AND_LARGE
@pytest.mark.parametrize("detail", ["summary", "full"])
def test_empty_axes_are_told(rows: int, detail: Detail) -> None:
    """Nothing is cut where there is nothing."""
    tensors = _series(rows, steps=0)
    outputs, writer = Outputs(CONTRACT, tensors), AnswerText(CONTRACT, detail, OPENING)

    assert [writer.of(outputs, row) for row in range(rows)] == _alone(CONTRACT, tensors, detail, OPENING)


@SMALL_AND_LARGE
def test_mean_of_huge_numbers_is_told(rows: int) -> None:
    """It is a float32, though their sum is none."""
    tensors = {name: np.full_like(values, -LARGEST) for name, values in _series(rows).items()}
    outputs, writer = Outputs(CONTRACT, tensors), AnswerText(CONTRACT, "summary", OPENING)

    told = [orjson.loads(writer.of(outputs, row))["attention"][0]["weights"] for row in range(rows)]

    np.testing.assert_array_equal(np.array(told, np.float32), np.full((rows, 7), -LARGEST))


@SMALL_AND_LARGE
def test_huge_numbers_are_told(rows: int) -> None:
    """Their squares are no float32, and no reason to refuse them."""
    tensors = {name: np.full_like(values, -LARGEST) for name, values in _series(rows).items()}
    outputs, writer = Outputs(CONTRACT, tensors), AnswerText(CONTRACT, "full", OPENING)

    for row in range(rows):
        told = orjson.loads(writer.of(outputs, row))

        weights, shares = told["attention"][0]["weights"], told["contributions"]["values"]
        np.testing.assert_array_equal(np.float32(weights), tensors["attention"][row])
        np.testing.assert_array_equal(np.float32(shares), tensors["contributions"][row, 0])
        assert {np.float32(score) for score in told["prediction"]["scores"].values()} == {-LARGEST}
        assert np.float32(told["contributions"]["bias"]) == -LARGEST


def test_the_rows_of_a_batch_are_written_at_the_first_asking() -> None:
    """Once for all of them: what is done to the tensors afterwards shows in none."""
    tensors = _series(12)
    expected = _alone(CONTRACT, tensors, "summary", OPENING)
    outputs, writer = Outputs(CONTRACT, tensors), AnswerText(CONTRACT, "summary", OPENING)
    first = writer.of(outputs, 5)
    for values in tensors.values():
        values.fill(0.5)

    texts = [writer.of(outputs, row) for row in range(12)]

    assert texts == expected
    assert texts[5] is first
