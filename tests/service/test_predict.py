"""POST /predict/…: answers against NumPy's account of the tiny models, and everything that is refused."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from tests.service.client import Client, running
from tests.service.conftest import PIXEL, SERIES
from tests.service.test_picture import noise, saved
from tests.service.tiny_models import expected_timeseries, image_model, publish, timeseries_model

PNG = saved(Image.fromarray(noise(8, 8)))
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=y"}


def problem(response: httpx.Response, status: int, word: str) -> str:
    """The detail of a problem, once its form is checked."""
    document = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, document["status"]) == (status, status)
    assert document["type"] == f"urn:heed:problem:{word}"
    assert document["title"]
    assert document["error"] == document["detail"]
    assert response.headers["x-request-id"]
    detail: str = document["detail"]
    assert len(detail) < 600
    return detail


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
        ('{"sequence": [[1, 2]]}', "sequence has 1 time steps, model 'timeseries' takes 10"),
        ('{"sequence": []}', "sequence has 0 time steps"),
        ('{"sequence": [[1, 2], [3]' + ", [1, 2]" * 8 + "]}", "sequence[1] has 1 values"),
        ('{"sequence": [[1, "2"]]}', "sequence[0][1] is a string, expected is a number"),
        ('{"sequence": [[1, true]]}', "sequence[0][1] is true, expected is a number"),
        ('{"sequence": [[1, null]]}', "sequence[0][1] is null, expected is a number"),
        ('{"sequence": [[1, []]]}', "sequence[0][1] is an array, expected is a number"),
        ('{"sequence": [[1, NaN]]}', "sequence[0][1] is NaN"),
        ('{"sequence": [[1, -Infinity]]}', "sequence[0][1] is an infinite number"),
        ('{"sequence": [[1, 1e999]]}', "sequence[0][1] is an infinite number"),
        ('{"sequence": [[1, 1e39]]}', "sequence[0][1] is 1e+39"),
        ('{"sequence": [[1, -3.5e38]]}', "sequence[0][1] is -3.5e+38"),
        ('{"sequence": [[1, 1' + "0" * 400 + "]]}", "sequence[0][1] is a number of many digits"),
        ('{"sequence": [[1, 1' + "0" * 5000 + "]]}", "beyond float32"),
        ('{"sequence": [1, 2]}', "sequence[0] is 1, expected is an array"),
        ('{"sequence": {"0": 1}}', "sequence is an object, expected is an array"),
        ('{"sequence": "' + "x" * 5000 + '"}', "sequence is a string"),
        ("[1]", "the body is an array"),
        ("null", "the body is null"),
        ("{}", "the member 'sequence' is missing"),
        ('{"sequnce": []}', "the member 'sequence' is missing, and 'sequnce' is unknown"),
        ('{"sequence": [[1, 2]], "' + "y" * 500 + '": 1}', "unknown member 'yyy"),
    ],
)
def test_wrong_values_are_named(client: Client, body: str, detail: str) -> None:
    """A body of the wrong shape is 422, and the detail names the place, what was found and what is expected."""
    response = client.post("/predict/timeseries", content=body, headers=JSON)

    assert detail in problem(response, 422, "invalid-input")


@pytest.mark.parametrize(
    "body", [b"", b"x", b"\xff\xfe{}", b'{"sequence": [[1, 2]', b"[" * 50_000, b"\xef\xbb\xbf{}", b'{"sequence": [01]}']
)
def test_what_is_not_json_is_malformed(client: Client, body: bytes) -> None:
    """400, with the place where reading stopped."""
    response = client.post("/predict/timeseries", content=body, headers=JSON)

    assert "the body is not JSON" in problem(response, 400, "malformed-body")


@pytest.mark.parametrize("value", [3.4028234663852886e38, 3.4028235e38, -3.4028235e38, 1e-45, 0, -0.0, 10**38])
def test_float32_s_own_numbers_are_taken(client: Client, value: float) -> None:
    """The largest float32, also as float32 prints itself, is no overflow; what the graph makes of it may be."""
    response = client.post("/predict/timeseries?model=any_length&attention=none", json={"sequence": [[value, 0]]})

    assert response.status_code in (200, 422)
    assert response.status_code == 200 or "not finite" in response.json()["detail"]


def test_answer_that_is_not_finite_is_refused(tmp_path: Any) -> None:
    """JSON has no NaN: an input for which the graph overflows is 422, in a batch with its index."""
    publish(tmp_path, "timeseries", "1", timeseries_model(weights=np.array([1e10, 1e10], np.float32)))
    huge = [[3e38, -3e38]] * 10
    with running(Settings(model_repository=tmp_path)) as client:
        fine = client.post("/predict/timeseries", json={"sequence": SERIES})
        response = client.post("/predict/timeseries", json={"sequence": huge})
        batch = client.post("/predict/timeseries/batch", json={"sequences": [SERIES, huge]})

    assert fine.status_code == 200
    assert "is not finite for this input" in problem(response, 422, "invalid-input")
    assert problem(batch, 422, "invalid-input").startswith("input 1: ")


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


def test_hopeless_bodies_are_refused_before_they_are_parsed(client: Client) -> None:
    """A long body of far too many values, or of unknown members, is told without a million Python objects."""
    many = b'{"sequence": [' + b",".join([b"[1,1]"] * 60_000) + b"]}"
    members = b"{" + b",".join(b'"%d":1' % index for index in range(30_000)) + b"}"

    values = client.post("/predict/timeseries", content=many, headers=JSON)
    unknown = client.post("/predict/timeseries", content=members, headers=JSON)

    assert "far more values" in problem(values, 422, "invalid-input")
    assert "unknown members" in problem(unknown, 422, "invalid-input")


@pytest.mark.parametrize(
    ("query", "status", "word", "detail"),
    [
        ("attention=all", 422, "invalid-input", "'attention' is 'all'"),
        ("Attention=full", 422, "invalid-input", "unknown query parameter 'Attention'"),
        ("attention=full&attention=none", 422, "invalid-input", "'attention' is given more than once"),
        ("label=7", 422, "invalid-input", "no label '7', its labels are 0, 1"),
        ("label=", 422, "invalid-input", "no label ''"),
        ("label=7&attention=none", 422, "invalid-input", "no label '7'"),
        ("model=nope", 404, "unknown-model", "no model 'nope'; GET /models"),
        ("model=", 404, "unknown-model", "no model ''"),
        ("model=..%2Ftimeseries", 404, "unknown-model", "no model"),
        ("model=image", 422, "invalid-input", "task image, this route takes models of task timeseries"),
        ("version=2", 404, "unknown-version", "no version '2', it has 1"),
        ("version=01", 404, "unknown-version", "no version '01'"),
        ("version=latest", 404, "unknown-version", "no version 'latest'"),
        ("version=%D9%A1", 404, "unknown-version", "no version"),
        ("version=-1", 404, "unknown-version", "no version '-1'"),
    ],
)
def test_wrong_query_is_told(client: Client, query: str, status: int, word: str, detail: str) -> None:
    """Parameters, attention values and labels that are not known are 422, models and versions 404."""
    response = client.post(f"/predict/timeseries?{query}", json={"sequence": SERIES})

    assert detail in problem(response, status, word)


@pytest.mark.parametrize(
    "media_type", [None, "application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_taken_as_json(client: Client, media_type: str | None) -> None:
    """With its parameters, in any case, and without a Content-Type."""
    headers = {"Content-Type": media_type} if media_type else {}

    assert client.post("/predict/timeseries", content=body_of(SERIES), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/predict/timeseries", "/predict/timeseries/batch", "/predict/image/batch", "/predict/image"]
)
@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "nonsense"]
)
def test_other_media_types_are_refused(client: Client, path: str, media_type: str) -> None:
    """415, and the detail says what is taken."""
    response = client.post(path, content=body_of(SERIES), headers={"Content-Type": media_type})

    detail = problem(response, 415, "unsupported-media-type")
    assert media_type in detail
    assert "application/json" in detail


def body_of(series: Any) -> bytes:
    """The series as a JSON body."""
    return httpx.Request("POST", "http://x", json={"sequence": series}).content


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


def test_large_picture_is_answered(client: Client) -> None:
    """A picture that is decoded alone is answered like the others. 2000 rows on 6 of 8: the region says so exactly."""
    response = client.post("/predict/image", files={"image": saved(Image.new("L", (2500, 2000), 255))})

    assert response.json()["image"] == {
        "width": 2500,
        "height": 2000,
        "region": pytest.approx([0, -1000 / 3, 2500, 7000 / 3]),
    }


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


def test_colour_and_fit_are_the_models(client: Client) -> None:
    """Rows, columns, channels come from the graph, the fit from the contract."""
    content = saved(Image.new("RGB", (40, 20), (10, 20, 30)))

    stretched = client.post("/predict/image?model=colour&attention=full", files={"image": content}).json()
    cropped = client.post("/predict/image?model=crop", files={"image": content}).json()

    assert stretched["attention"][0]["shape"] == [6, 4, 3]
    np.testing.assert_array_equal(stretched["attention"][0]["weights"], np.full((6, 4, 3), (10, 20, 30)))
    assert stretched["image"]["region"] == [0, 0, 40, 20]
    assert cropped["image"]["region"] == [10, 0, 30, 20]


def test_server_timing_tells_the_stages(client: Client) -> None:
    """Decoding, waiting and inference in milliseconds."""
    header = client.post("/predict/timeseries", json={"sequence": SERIES}).headers["server-timing"]

    stages = dict(part.split(";dur=") for part in header.split(", "))
    assert list(stages) == ["decode", "queue", "inference"]
    assert all(float(duration) >= 0 for duration in stages.values())


def test_many_at_once_are_each_answered(client: Client) -> None:
    """A hundred pictures at once: each caller gets its own."""
    contents = [saved(Image.new("L", (8, 8), value)) for value in range(100)]

    responses = client.post_together("/predict/image", contents, headers={"Content-Type": "image/png"})

    assert [response.json()["attention"][0]["weights"][0][0] for response in responses] == list(range(100))


def test_refused_and_loading_models_are_told(tmp_path: Any) -> None:
    """A refused model is 404 with its reason, one that is not loaded yet 503 with Retry-After."""
    publish(tmp_path, "timeseries", "1", b"nonsense")
    publish(tmp_path, "image", "3", image_model())
    with running(Settings(model_repository=tmp_path), is_loaded=False) as client:
        early = client.post("/predict/image", files={"image": PNG})
        client.wait_until_loaded()
        late = client.post("/predict/image", files={"image": PNG})
        refused = client.post("/predict/timeseries", json={"sequence": SERIES})
        version = client.post("/predict/timeseries?version=1", json={"sequence": SERIES})

    if early.status_code != 200:
        problem(early, 503, "loading")
        assert early.headers["retry-after"] == "1"
    assert late.json()["model"]["version"] == "3"
    assert "was refused when it was loaded: onnxruntime" in problem(refused, 404, "unknown-model")
    assert "version 1 of model 'timeseries' was refused" in problem(version, 404, "unknown-version")


def test_file_in_memory_is_read_as_sent() -> None:
    """The helper of these tests writes what Pillow reads back."""
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(PNG))), noise(8, 8))
