"""POST /predict/image: every form of a picture, the model's canvas, and pictures that are refused."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.conftest import PIXEL
from tests.service.picture_files import noise, saved
from tests.service.tiny_models import image_model, publish

PNG = saved(Image.fromarray(noise(8, 8)))

FORM = {"Content-Type": "multipart/form-data; boundary=y"}


def test_file_in_memory_is_read_as_sent() -> None:
    """The helper of these tests writes what Pillow reads back."""
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(PNG))), noise(8, 8))


@pytest.mark.parametrize(
    "request_of",
    [
        {"content": PNG, "headers": {"Content-Type": "image/png"}},
        {"content": PNG, "headers": {"Content-Type": "image/jpeg"}},
        {"content": PNG},
        {"files": {"image": PNG}},
        {"files": {"anything": ("name.txt", PNG, "text/plain")}},
        {"json": {"image": base64.b64encode(PNG).decode()}},
        {"json": {"image": base64.encodebytes(PNG).decode()}},
        {"json": {"image": "data:image/png;base64," + base64.b64encode(PNG).decode()}},
        {"content": b' {"image": "' + base64.b64encode(PNG) + b'"}'},
    ],
)
def test_picture_in_every_form(client: Client, request_of: dict[str, Any]) -> None:
    """File, form and JSON give the same answer, and the map shows the very pixels that were sent."""
    answer = client.post("/predict/image", **request_of).json()

    np.testing.assert_array_equal(answer["attention"][0]["weights"], noise(8, 8))
    assert answer["image"] == {"width": 8, "height": 8, "region": [0, 0, 8, 8]}
    assert answer["model"] == {"name": "image", "version": "1", "task": "image"}
    assert answer["contributions"] is None
    mean = noise(8, 8).mean() / 255
    powers = np.exp(mean * np.arange(10))
    np.testing.assert_allclose(list(answer["prediction"]["scores"].values()), powers / powers.sum(), rtol=1e-5)


def test_colour_and_fit_are_the_models(client: Client) -> None:
    """Rows, columns, channels come from the graph, the fit from the contract."""
    content = saved(Image.new("RGB", (40, 20), (10, 20, 30)))

    stretched = client.post("/predict/image?model=colour&attention=full", files={"image": content}).json()
    cropped = client.post("/predict/image?model=crop", files={"image": content}).json()

    assert stretched["attention"][0]["shape"] == [6, 4, 3]
    np.testing.assert_array_equal(stretched["attention"][0]["weights"], np.full((6, 4, 3), (10, 20, 30)))
    assert stretched["image"]["region"] == [0, 0, 40, 20]
    assert cropped["image"]["region"] == [10, 0, 30, 20]


def test_large_picture_is_answered(client: Client) -> None:
    """A picture that is decoded alone is answered like the others. 2000 rows on 6 of 8: the region says so exactly."""
    response = client.post("/predict/image", files={"image": saved(Image.new("L", (2500, 2000), 255))})

    assert response.json()["image"] == {
        "width": 2500,
        "height": 2000,
        "region": pytest.approx([0, -1000 / 3, 2500, 7000 / 3]),
    }


def test_many_at_once_are_each_answered(client: Client) -> None:
    """A hundred pictures at once: each caller gets its own."""
    contents = [saved(Image.new("L", (8, 8), value)) for value in range(100)]

    responses = client.post_together("/predict/image", contents, headers={"Content-Type": "image/png"})

    assert [response.json()["attention"][0]["weights"][0][0] for response in responses] == list(range(100))


@pytest.mark.parametrize(
    ("request_of", "status", "word", "detail"),
    [
        ({"content": b""}, 400, "malformed-body", "not an image file"),
        ({"content": b"hello", "headers": {"Content-Type": "image/png"}}, 400, "malformed-body", "not an image file"),
        ({"content": PNG[:60], "headers": {"Content-Type": "image/png"}}, 400, "malformed-body", "damaged"),
        ({"json": {"image": "?" * 100}}, 400, "malformed-body", "not valid base64"),
        ({"json": {"image": PIXEL[:-3]}}, 400, "malformed-body", "not valid base64"),
        ({"json": {"image": "data:image/png," + PIXEL}}, 400, "malformed-body", "not in base64"),
        ({"json": {"image": "é"}}, 400, "malformed-body", "not valid base64"),
        ({"json": {"image": 5}}, 422, "invalid-input", "image is 5, expected is a base64 string"),
        ({"json": {"picture": PIXEL}}, 422, "invalid-input", "'image' is missing, and 'picture' is unknown"),
        ({"files": [("a", PNG), ("b", PNG)]}, 422, "invalid-input", "2 files, expected is one"),
        ({"files": {"a": PNG}, "data": {"b": "text"}}, 422, "invalid-input", "'b' is not a file"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "malformed-body", "no boundary"),
        ({"content": b"x", "headers": FORM}, 400, "malformed-body", "multipart"),
        ({"content": b"--y--\r\n", "headers": FORM}, 422, "invalid-input", "0 files"),
    ],
)  # fmt: skip
def test_wrong_pictures_are_told(
    client: Client, request_of: dict[str, Any], status: int, word: str, detail: str
) -> None:
    """400 for what cannot be read, 422 for what is of the wrong shape."""
    assert detail in problem(client.post("/predict/image", **request_of), status, word)


def test_too_many_pixels_are_refused(client: Client) -> None:
    """A small file of many pixels is 413."""
    response = client.post("/predict/image", files={"image": saved(Image.new("1", (5000, 1001)))})

    assert "5000 × 1001 pixels, at most 5000000" in problem(response, 413, "too-large")


def test_no_attention_asks_the_graph_for_the_scores_alone(tmp_path: Path) -> None:
    """White overflows this graph's attention map and not its scores: attention=none never sees that map."""
    publish(tmp_path, "image", "1", image_model(attention="Exp"))
    white = saved(Image.new("L", (8, 8), 255))
    with running(Settings(model_repository=tmp_path)) as client:
        scores = client.post("/predict/image?attention=none", files={"image": white})
        refused = [
            client.post(f"/predict/image?attention={one}", files={"image": white}) for one in ("summary", "full")
        ]

    assert scores.json()["prediction"]["label"] == "9"
    for response in refused:
        assert "'attention' is not finite" in problem(response, 422, "invalid-input")
