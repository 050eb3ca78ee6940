"""POST /predict/…: bodies, queries and media types that are refused, and how it is told."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.conftest import SERIES
from tests.service.tiny_models import publish, timeseries_model

JSON = {"Content-Type": "application/json"}


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


def test_answer_that_is_not_finite_is_refused(tmp_path: Path) -> None:
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


def body_of(series: Any) -> bytes:
    """The series as a JSON body."""
    return httpx.Request("POST", "http://x", json={"sequence": series}).content


def test_refused_models_are_told(tmp_path: Path) -> None:
    """404 with the reason, by name and by version."""
    publish(tmp_path, "timeseries", "1", b"nonsense")
    with running(Settings(model_repository=tmp_path)) as client:
        model = client.post("/predict/timeseries", json={"sequence": SERIES})
        version = client.post("/predict/timeseries?version=1", json={"sequence": SERIES})

    assert "was refused when it was loaded: onnxruntime" in problem(model, 404, "unknown-model")
    assert "version 1 of model 'timeseries' was refused" in problem(version, 404, "unknown-version")


@pytest.mark.parametrize(
    ("path", "form", "one"),
    [
        ("/predict/timeseries?model=any_length", b'{"sequence":[%s]}', b"[],"),
        ("/predict/timeseries?model=any_length", b'{"sequence":[[%s]]}', b"1,"),
        ("/predict/timeseries/batch?model=any_length", b'{"sequences":[%s]}', b"[[1,1]],"),
        ("/predict/image", b'{"image":[%s]}', b"[],"),
        ("/predict/image", b"{%s}", b'"a":1,'),
        ("/predict/image/batch", b'{"images":[%s]}', b'"",'),
        ("/predict/image/batch", b'{"images":[%s]}', b"[],"),
    ],
)
def test_long_bodies_of_tiny_values_are_not_parsed(client: Client, path: str, form: bytes, one: bytes) -> None:
    """Three hundred kilobytes of commas become three hundred times as much in a parser: refused by counting them."""
    content = form % (one * (350_000 // len(one)))[:-1]

    response = client.post(path, content=content, headers=JSON)

    assert "far more values than" in problem(response, 422, "invalid-input")


@pytest.mark.parametrize(("steps", "status"), [(500, 200), (501, 422), (1500, 422)])
def test_time_steps_of_a_call_are_bounded(client: Client, steps: int, status: int) -> None:
    """Where a graph leaves the length open the settings say it, for one series and for a call's series together."""
    one = client.post("/predict/timeseries?model=any_length", json={"sequence": [[0, 1]] * steps})
    several = client.post(
        "/predict/timeseries/batch?model=any_length", json={"sequences": [[[0, 1]] * (steps - 100), [[0, 1]] * 100]}
    )

    for response in (one, several):
        assert response.status_code == status
        if status != 200:
            detail = problem(response, 422, "invalid-input")
            assert detail == f"the call has {steps} time steps, at most 500 are taken"


def test_own_length_of_a_model_is_taken_whatever_the_bound(tmp_path: Path) -> None:
    """One series always; several as far as the bound goes."""
    publish(tmp_path, "timeseries", "1", timeseries_model())
    with running(Settings(model_repository=tmp_path, max_time_steps=5)) as client:
        one = client.post("/predict/timeseries", json={"sequence": SERIES})
        several = client.post("/predict/timeseries/batch", json={"sequences": [SERIES, SERIES]})

    assert one.status_code == 200
    assert "the call has 20 time steps, at most 10 are taken" in problem(several, 422, "invalid-input")
