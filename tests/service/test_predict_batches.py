"""POST /predict/…/batch: each input is answered as if alone, in its place, and one bad one refuses the call."""

import base64
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.service.client import Client, problem
from tests.service.conftest import PIXEL, SERIES
from tests.service.picture_files import noise, saved
from tests.service.tiny_models import expected_timeseries

PNG = saved(Image.fromarray(noise(8, 8)))


def test_batch_is_each_answer_in_order(client: Client) -> None:
    """More inputs than one run takes, of several lengths: each is answered as if alone, in its place."""
    chance = np.random.default_rng(3)
    sequences = [chance.normal(size=(1 + index % 2, 2)).astype(np.float32).tolist() for index in range(40)]

    results = client.post("/predict/timeseries/batch?model=any_length", json={"sequences": sequences}).json()["results"]

    assert len(results) == 40
    for sequence, result in zip(sequences, results, strict=True):
        alone = client.post("/predict/timeseries?model=any_length", json={"sequence": sequence}).json()
        assert result.keys() == alone.keys()
        assert result["model"] == alone["model"]
        np.testing.assert_allclose(result["contributions"]["values"], alone["contributions"]["values"], atol=1e-6)


def test_more_rows_than_one_run_takes(client: Client) -> None:
    """Forty equal shapes run in slices, and none is lost or changes places."""
    sequences = [[[index, -index]] * 10 for index in range(40)]

    results = client.post("/predict/timeseries/batch", json={"sequences": sequences}).json()["results"]

    expected = [expected_timeseries(np.array(sequence, np.float32))["probabilities"][1] for sequence in sequences]
    np.testing.assert_allclose([result["prediction"]["scores"]["1"] for result in results], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"sequences": []}, "sequences has 0 inputs, 1 to 40 are taken"),
        ({"sequences": [SERIES] * 41}, "sequences has 41 inputs"),
        ({"sequences": [SERIES, SERIES[:9]]}, "sequences[1] has 9 time steps"),
        ({"sequences": [SERIES, [*SERIES[:9], [1]]]}, "sequences[1][9] has 1 values"),
        ({"sequences": [SERIES, [*SERIES[:9], [1, "x"]]]}, "sequences[1][9][1] is a string"),
        ({"sequences": [SERIES, 5]}, "sequences[1] is 5, expected is an array"),
        ({"sequence": SERIES}, "the member 'sequences' is missing"),
    ],
)
def test_one_bad_series_refuses_the_batch(client: Client, body: Any, detail: str) -> None:
    """The detail says which."""
    assert detail in problem(client.post("/predict/timeseries/batch", json=body), 422, "invalid-input")


@pytest.mark.parametrize(
    "request_of",
    [
        {"json": {"images": [base64.b64encode(PNG).decode(), PIXEL] * 20}},
        {"files": [("image", PNG), ("image", base64.b64decode(PIXEL))] * 20},
    ],
)
def test_picture_batch_is_each_answer_in_order(client: Client, request_of: dict[str, Any]) -> None:
    """Forty pictures of two kinds: each with its own pixels, size and region."""
    results = client.post("/predict/image/batch", **request_of).json()["results"]

    assert [result["image"]["width"] for result in results] == [8, 1] * 20
    for result in results[::2]:
        np.testing.assert_array_equal(result["attention"][0]["weights"], noise(8, 8))


@pytest.mark.parametrize(
    ("request_of", "status", "word", "detail"),
    [
        ({"json": {"images": []}}, 422, "invalid-input", "images has 0 inputs"),
        ({"json": {"images": [PIXEL] * 41}}, 422, "invalid-input", "images has 41 inputs"),
        ({"json": {"images": [PIXEL, "?"]}}, 400, "malformed-body", "images[1]: the image is not valid base64"),
        ({"json": {"images": [PIXEL, "AAAA"]}}, 400, "malformed-body", "images[1]: this is not an image file"),
        ({"json": {"images": [PIXEL, None]}}, 422, "invalid-input", "images[1] is null"),
        ({"files": [("a", PNG), ("b", b"no")]}, 400, "malformed-body", "images[1]: this is not an image"),
        ({"files": [("a", PNG)] * 41}, 422, "invalid-input", "more than 40"),
    ],
)
def test_one_bad_picture_refuses_the_batch(
    client: Client, request_of: dict[str, Any], status: int, word: str, detail: str
) -> None:
    """The detail says which."""
    assert detail in problem(client.post("/predict/image/batch", **request_of), status, word)
