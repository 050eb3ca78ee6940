"""The answer says what the tensors say, by the contract's names."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.answer import NotFiniteError, Outputs, outputs_needed
from models.contract import METADATA_KEY, Contract, read_contract
from tests.models.test_contract import SERIES

CONTRACT: Contract = read_contract({METADATA_KEY: orjson.dumps(SERIES).decode()})


def _tensors(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    weights = random.random((10, 32)).astype(np.float32)
    shares = random.normal(size=10).astype(np.float32)
    return {
        "probabilities": np.array([0.25, 0.75], np.float32),
        "logits": np.array([-1.1, 1.1], np.float32),
        "attention": weights / weights.sum(axis=0),
        "contributions": np.stack([-shares, shares]),
        "bias": np.array([-0.5, 0.5], np.float32),
    }


def answer(contract: Contract, tensors: dict[str, Any], detail: Any, label: str | None) -> dict[str, Any]:
    """The answer of one row, which stands between two others in its run."""
    others = _tensors(7)
    run = {name: np.stack([others[name], values, others[name]]) for name, values in tensors.items()}
    return Outputs(contract, run).answer(1, detail, label)


def test_summary_averages_what_the_contract_says() -> None:
    """One weight a step, the mean over units, and the predicted label's contributions."""
    tensors = _tensors()

    told = answer(CONTRACT, tensors, "summary", None)

    entry = told["attention"][0]
    assert told["prediction"] == {"label": "1", "score": 0.75, "scores": {"0": 0.25, "1": 0.75}}
    assert (entry["axes"], entry["shape"], entry["averaged_over"]) == (["time"], [10], ["unit"])
    assert (entry["kind"], entry["range"], entry["sums_to_one_over"]) == ("temporal", [0, 1], "time")
    np.testing.assert_allclose(entry["weights"], tensors["attention"].mean(axis=1), rtol=1e-6)
    assert told["contributions"]["label"] == "1"
    np.testing.assert_array_equal(told["contributions"]["values"], tensors["contributions"][1])


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 20), st.floats(0, 1, width=32))
def test_a_mean_is_where_its_numbers_are(units: int, rows: int, value: float) -> None:
    """Of equal numbers, itself but for a rounding; of ones, one: never beyond the range that is told beside it."""
    random = np.random.default_rng(units * rows)
    for weights in (np.full((rows, 3, units), value), np.ones((rows, 3, units)), random.random((rows, 3, units))):
        tensors = {"probabilities": np.full((rows, 2), 0.5, np.float32), "attention": weights.astype(np.float32)}

        (mean,) = Outputs(CONTRACT, tensors).weights("summary")

        assert (mean <= 1).all()
        assert (mean >= 0).all()
        np.testing.assert_allclose(mean, weights.mean(axis=2), rtol=1e-5)


def test_full_keeps_every_axis() -> None:
    """Nothing is averaged; the numbers are the graph's."""
    tensors = _tensors()

    entry = answer(CONTRACT, tensors, "full", None)["attention"][0]

    assert (entry["axes"], entry["shape"], entry["averaged_over"]) == (["time", "unit"], [10, 32], [])
    np.testing.assert_array_equal(entry["weights"], tensors["attention"])


def test_none_needs_the_scores_alone() -> None:
    """Neither fetched nor told."""
    told = answer(CONTRACT, {"probabilities": _tensors()["probabilities"]}, "none", None)

    assert outputs_needed(CONTRACT, "none") == ("probabilities",)
    assert set(outputs_needed(CONTRACT, "full")) == {"probabilities", "attention", "contributions", "bias"}
    assert (told["attention"], told["contributions"]) == ([], None)


def test_contributions_of_another_label_can_be_asked_for() -> None:
    """ "Why not 0?" — that label's bias and shares, the prediction unchanged."""
    tensors = _tensors()

    told = answer(CONTRACT, tensors, "summary", "0")

    assert told["prediction"]["label"] == "1"
    assert (told["contributions"]["label"], told["contributions"]["bias"]) == ("0", -0.5)
    np.testing.assert_array_equal(told["contributions"]["values"], tensors["contributions"][0])


def test_numbers_go_out_as_float32_unrounded() -> None:
    """What a client reads back as float32 is bit for bit what the graph answered."""
    tensors = _tensors(3)

    sent = orjson.loads(orjson.dumps(answer(CONTRACT, tensors, "full", None), option=orjson.OPT_SERIALIZE_NUMPY))

    np.testing.assert_array_equal(np.array(sent["attention"][0]["weights"], np.float32), tensors["attention"])
    values = np.array(sent["contributions"]["values"], np.float32)
    np.testing.assert_array_equal(values, tensors["contributions"][1])


@pytest.mark.parametrize("name", ["probabilities", "attention", "contributions", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_say_is_an_error(name: str, value: float) -> None:
    """NaN and infinity never become null."""
    tensors = _tensors()
    tensors[name].flat[-1] = value

    with pytest.raises(NotFiniteError, match=f"output '{name}' is not finite"):
        answer(CONTRACT, tensors, "summary", None)


def test_a_row_that_json_cannot_say_leaves_the_others_alone() -> None:
    """Rows of one run belong to different callers: each has its own answer or its own error."""
    bad, good = _tensors(), _tensors(1)
    bad["attention"][3, 3] = np.nan
    outputs = Outputs(CONTRACT, {name: np.stack([bad[name], good[name]]) for name in bad})

    with pytest.raises(NotFiniteError):
        outputs.answer(0, "full", None)
    np.testing.assert_array_equal(outputs.answer(1, "full", None)["attention"][0]["weights"], good["attention"])
