"""POST /predict/timeseries: answers against NumPy's account of the tiny models."""

from typing import Any

import numpy as np
import pytest

from tests.service.client import Client
from tests.service.conftest import SERIES
from tests.service.tiny_models import expected_timeseries


def test_timeseries_answer_is_the_models(client: Client) -> None:
    """Prediction, attention averaged over units and contributions are those that NumPy computes."""
    series = np.random.default_rng(1).normal(0, 5, (10, 2)).astype(np.float32)

    answer = client.post("/predict/timeseries", json={"sequence": series.tolist()}).json()

    expected = expected_timeseries(series)
    label = str(int(expected["logit"] > 0))
    sign = 1 if label == "1" else -1
    assert answer["model"] == {"name": "timeseries", "version": "1", "task": "timeseries"}
    assert answer["prediction"]["label"] == label
    assert answer["prediction"]["score"] == answer["prediction"]["scores"][label]
    np.testing.assert_allclose(list(answer["prediction"]["scores"].values()), expected["probabilities"], rtol=1e-5)
    (attention,) = answer["attention"]
    assert attention | {"weights": []} == {
        "name": "attention",
        "kind": "temporal",
        "axes": ["time"],
        "shape": [10],
        "range": [0, 1],
        "sums_to_one_over": "time",
        "averaged_over": ["unit"],
        "weights": [],
    }
    np.testing.assert_allclose(attention["weights"], expected["attention"].mean(axis=1), rtol=1e-5)
    contributions = answer["contributions"]
    np.testing.assert_allclose(contributions["values"], sign * expected["contributions"], rtol=1e-4, atol=1e-6)
    assert contributions["bias"] + sum(contributions["values"]) == pytest.approx(sign * expected["logit"], rel=1e-4)
    assert (contributions["label"], contributions["unit"], contributions["axes"]) == (label, "logit", ["time"])


def test_full_attention_has_every_axis(client: Client) -> None:
    """attention=full gives the weights of each unit, averaged over nothing."""
    answer = client.post("/predict/timeseries?attention=full", json={"sequence": SERIES}).json()

    (attention,) = answer["attention"]
    assert (attention["axes"], attention["shape"], attention["averaged_over"]) == (["time", "unit"], [10, 2], [])
    np.testing.assert_allclose(
        attention["weights"], expected_timeseries(np.array(SERIES, np.float32))["attention"], rtol=1e-5
    )


def test_no_attention_is_the_prediction_alone(client: Client) -> None:
    """attention=none sends neither attention nor contributions, and the same prediction."""
    summary = client.post("/predict/timeseries", json={"sequence": SERIES}).json()

    answer = client.post("/predict/timeseries?attention=none", json={"sequence": SERIES}).json()

    assert answer == {
        "model": summary["model"],
        "prediction": summary["prediction"],
        "attention": [],
        "contributions": None,
    }


def test_label_chooses_whose_contributions(client: Client) -> None:
    """label=0 tells why not 0, and the prediction stays what it is."""
    zero, one = (
        client.post(f"/predict/timeseries?label={label}", json={"sequence": SERIES}).json() for label in ("0", "1")
    )

    assert zero["prediction"] == one["prediction"]
    assert (zero["contributions"]["label"], one["contributions"]["label"]) == ("0", "1")
    np.testing.assert_array_equal(np.array(zero["contributions"]["values"]), -np.array(one["contributions"]["values"]))


@pytest.mark.parametrize("sequence", [[1, 2.5, -3, 0, 5, 6, 7, 8, 9, 10], [[step] for step in range(10)]])
def test_one_feature_may_be_flat(client: Client, sequence: list[Any]) -> None:
    """A model of one feature takes the values as they are, or each in its own list."""
    response = client.post("/predict/timeseries?model=one_feature", json={"sequence": sequence})

    expected = expected_timeseries(np.array(sequence, np.float32).reshape(10, 1))
    assert response.json()["contributions"] is None
    np.testing.assert_allclose(response.json()["attention"][0]["weights"], expected["attention"][:, 0], rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 77])
def test_any_length_where_the_graph_leaves_it_open(client: Client, length: int) -> None:
    """A dynamic time axis takes any number of steps."""
    series = np.random.default_rng(length).normal(size=(length, 2)).astype(np.float32)

    answer = client.post("/predict/timeseries?model=any_length", json={"sequence": series.tolist()}).json()

    np.testing.assert_allclose(
        answer["attention"][0]["weights"], expected_timeseries(series)["attention"].mean(axis=1), rtol=1e-4
    )


@pytest.mark.parametrize("value", [3.4028234663852886e38, 3.4028235e38, -3.4028235e38, 1e-45, 0, -0.0, 10**38])
def test_float32_s_own_numbers_are_taken(client: Client, value: float) -> None:
    """The largest float32, also as float32 prints itself, is no overflow, and the smallest is no error."""
    response = client.post("/predict/timeseries?model=any_length", json={"sequence": [[value, 0]]})

    assert response.status_code == 200
    with np.errstate(over="ignore"):
        expected = expected_timeseries(np.array([[value, 0]], np.float32))
    scores = list(response.json()["prediction"]["scores"].values())
    np.testing.assert_allclose(scores, expected["probabilities"], rtol=1e-5)


def test_server_timing_tells_the_stages(client: Client) -> None:
    """Decoding, waiting and inference in milliseconds."""
    header = client.post("/predict/timeseries", json={"sequence": SERIES}).headers["server-timing"]

    stages = dict(part.split(";dur=") for part in header.split(", "))
    assert list(stages) == ["decode", "queue", "inference"]
    assert all(float(duration) >= 0 for duration in stages.values())
