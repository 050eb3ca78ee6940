"""In front of FastAPI: whoever asks there is answered as by the application behind it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from service.pace import Pace
from service.session import Session, Tensor, Tensors
from service.settings import Settings
from tests.service.both import JSON, KEY, OPENED, Asked, Both
from tests.service.client import running
from tests.service.conftest import PIXEL, SERIES

ONE = json.dumps({"sequence": SERIES}).encode()
SEVERAL = json.dumps({"sequences": [SERIES, SERIES]}).encode()
PICTURE = json.dumps({"image": PIXEL}).encode()
PICTURES = json.dumps({"images": [PIXEL]}).encode()
TENSOR = json.dumps(
    {"inputs": [{"name": "sequence", "shape": [1, 10, 2], "datatype": "FP32", "data": [SERIES]}], "id": "42"}
).encode()
LENGTH = (b"inference-header-content-length", b"%d" % len(TENSOR))


@pytest.fixture(scope="module", params=["", "/heed"])
def both(request: pytest.FixtureRequest, repository: Path) -> Iterator[Both]:
    """A service with a key, at the root and under a path; it counts nothing, what it had counted would differ."""
    root_path: str = request.param
    limits = Settings(
        model_repository=repository,
        root_path=root_path,
        api_keys=SecretStr(KEY),
        max_body_bytes=20_000,
        max_batch_inputs=3,
        metrics=False,
    )
    with running(limits, is_loaded=False) as client:
        client.wait_until_ready()
        yield Both(client, root_path)


GOOD = [
    Asked("POST", "/predict/timeseries", ONE),
    Asked("POST", "/predict/timeseries?attention=full&label=0&model=any_length&version=1", ONE),
    Asked("POST", "/predict/timeseries?attention=none", ONE, (OPENED,)),
    Asked("POST", "/predict/timeseries/batch", SEVERAL),
    Asked("POST", "/predict/image", PICTURE),
    Asked("POST", "/predict/image/batch", PICTURES),
    Asked("GET", "/models"),
    Asked("GET", "/models/timeseries"),
    Asked("GET", "/models/image/samples"),
    Asked("GET", "/v2"),
    Asked("GET", "/v2/"),
    Asked("GET", "/v2/models/timeseries"),
    Asked("GET", "/v2/models/timeseries/ready"),
    Asked("GET", "/v2/models/timeseries/config"),
    Asked("GET", "/v2/models/timeseries/versions/1"),
    Asked("GET", "/v2/models/timeseries/versions/1/ready"),
    Asked("GET", "/v2/models/timeseries/versions/1/config"),
    Asked("POST", "/v2/models/timeseries/infer", TENSOR),
    Asked("POST", "/v2/models/timeseries/versions/1/infer", TENSOR, (OPENED, LENGTH)),
    Asked("GET", "/v2/health/live"),
    Asked("GET", "/v2/health/ready"),
    Asked("GET", "/openapi.json"),
    Asked("GET", "/metrics"),
    Asked("GET", "/"),
    Asked("GET", "/?model=timeseries"),
    Asked("GET", "/docs"),
    Asked("GET", "/redoc"),
    Asked("GET", "/web/docs.js", b"", ((b"accept-encoding", b"gzip"),)),
]


@pytest.mark.parametrize("asked", GOOD)
def test_good_requests_are_answered_alike(both: Both, asked: Asked) -> None:
    """Predictions, the catalogue, health, the document and metrics: status, headers and body."""
    in_front, behind = both.ask(asked)

    assert in_front == behind
    assert in_front.status == 200


@pytest.mark.parametrize("asked", [one for one in GOOD if one.method == "GET"])
def test_head_is_answered_alike(both: Both, asked: Asked) -> None:
    """Wherever GET is answered."""
    in_front, behind = both.ask(replace(asked, method="HEAD"))

    assert in_front == behind
    assert in_front.status == 200


REFUSED = [
    (400, "malformed-body", Asked("POST", "/predict/timeseries", b"{")),
    (400, "malformed-body", Asked("POST", "/predict/image", b"no picture", (OPENED,))),
    (400, "malformed-body", Asked("POST", "/predict/image", ONE, (OPENED, JSON, (b"content-encoding", b"br")))),
    (400, "malformed-body", Asked("POST", "/predict/image", ONE, (OPENED, JSON, (b"content-length", b"x")))),
    (401, "unauthorized", Asked("POST", "/predict/timeseries", ONE, (JSON,))),
    (401, "unauthorized", Asked("GET", "/models", b"", ((b"authorization", b"Bearer wrong"),))),
    (401, "unauthorized", Asked("GET", "/models/timeseries", b"", ())),
    (401, "unauthorized", Asked("GET", "/metrics", b"", ())),
    (401, "unauthorized", Asked("POST", "/v2/models/timeseries/infer", TENSOR, ())),
    (404, "unknown-model", Asked("POST", "/v2/models/nope/infer", TENSOR)),
    (404, "unknown-model", Asked("POST", "/v2/models/{}/infer", TENSOR)),
    (404, "unknown-model", Asked("POST", "/v2/models/infer/infer", TENSOR)),
    (404, "unknown-version", Asked("GET", "/v2/models/timeseries/versions/versions/ready")),
    (404, "no-statistics", Asked("GET", "/v2/models/stats")),
    (404, "no-statistics", Asked("GET", "/v2/models/timeseries/stats")),
    (422, "invalid-input", Asked("POST", "/v2/models/timeseries/infer", b'{"inputs": []}')),
    (405, "method-not-allowed", Asked("GET", "/v2/models/timeseries/infer")),
    (405, "method-not-allowed", Asked("POST", "/v2/models/timeseries")),
    (406, "not-acceptable", Asked("GET", "/v2/models/image", b"", (OPENED, (b"accept", b"text/html")))),
    (413, "too-large", Asked("POST", "/v2/models/timeseries/infer", bytes(20_001))),
    (404, "unknown-model", Asked("POST", "/predict/timeseries?model=nope", ONE)),
    (404, "unknown-version", Asked("POST", "/predict/timeseries?version=7", ONE)),
    (404, "unknown-model", Asked("GET", "/models/nope")),
    (404, "no-samples", Asked("GET", "/models/crop/samples")),
    (404, "not-found", Asked("GET", "/web/nope.js")),
    (405, "method-not-allowed", Asked("POST", "/")),
    (405, "method-not-allowed", Asked("GET", "/predict/timeseries")),
    (405, "method-not-allowed", Asked("HEAD", "/predict/image/batch")),
    (405, "method-not-allowed", Asked("OPTIONS", "/models")),
    (405, "method-not-allowed", Asked("BREW", "/models/timeseries")),
    (405, "method-not-allowed", Asked("POST", "/metrics")),
    (406, "not-acceptable", Asked("POST", "/predict/timeseries", ONE, (OPENED, JSON, (b"accept", b"text/html")))),
    (406, "not-acceptable", Asked("GET", "/v2/health/live", b"", ((b"accept", b"image/png"),))),
    (406, "not-acceptable", Asked("GET", "/", b"", ((b"accept", b"application/json"),))),
    (406, "not-acceptable", Asked("GET", "/metrics", b"", (OPENED, (b"accept", b"application/json")))),
    (413, "too-large", Asked("POST", "/predict/timeseries", bytes(20_001))),
    (413, "too-large", Asked("POST", "/predict/image", b"", (OPENED, (b"content-length", b"9" * 30)))),
    (415, "unsupported-media-type", Asked("POST", "/predict/timeseries", ONE, (OPENED, (b"content-type", b"a/b")))),
    (422, "invalid-input", Asked("POST", "/predict/timeseries", b'{"sequence": [[1, 2]]}')),
    (422, "invalid-input", Asked("POST", "/predict/timeseries/batch", b'{"sequences": []}')),
    (422, "invalid-input", Asked("POST", "/predict/timeseries?nope=1", ONE)),
    (422, "invalid-input", Asked("POST", "/predict/timeseries?label=0&label=1", ONE)),
    (422, "invalid-input", Asked("GET", "/v2/health/ready?nope=1")),
    (422, "invalid-input", Asked("POST", "/predict/image", PICTURE, (OPENED, JSON, (b"x-request-timeout-ms", b"0")))),
]  # fmt: skip


@pytest.mark.parametrize(("status", "word", "asked"), REFUSED)
def test_refusals_are_told_alike(both: Both, status: int, word: str, asked: Asked) -> None:
    """The same problem, with the same headers."""
    in_front, behind = both.ask(asked)

    assert in_front == behind
    assert (in_front.status, json.loads(in_front.body)["type"]) == (status, f"urn:heed:problem:{word}")


@pytest.mark.parametrize(
    "target",
    ["", "/web/", "/nope", "//models", "/models/", "/Models", "/predict", "/predict/timeseries/", "/heed/models",
     "/models/a/b", "/v2/models", "/v2/models/", "/v2/models//infer", "/v2/models/a/infer/", "/v2/models/a/b",
     "/v2/models/a/versions", "/v2/models/a/versions/", "/v2/models/a/versions//infer", "/v2/models/a/versions/1/b",
     "/v2/models/a%2Fversions/1/x", "/v3/models/a", "/v2/a", "/%00", "/%2Fmodels",
     "/predict/timeseries;x", "/predict%2Ftimeseries/x", "*"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_unknown_paths_are_told_alike(both: Both, method: str, target: str) -> None:
    """404 in the same words, also for what is nearly a path of ours."""
    in_front, behind = both.ask(Asked(method, target))

    assert in_front == behind
    assert in_front.status == 404


@pytest.mark.parametrize("target", ["/models", "/models/timeseries", "/v2/health/live", "/v2/models/image/ready"])
@pytest.mark.parametrize("prefix", ["", "/heed", "/heed/heed", "/heedx", "/hee"])
def test_any_prefix_is_answered_alike(both: Both, prefix: str, target: str) -> None:
    """Also of a proxy that took off too much or too little, or what only begins like the root path."""
    scope = Asked("GET", target).scope("") | {"root_path": both.root_path}
    path = prefix + target

    in_front, behind = both.ask_scope(scope | {"path": path, "raw_path": path.encode()})

    assert in_front == behind
    assert in_front.status in (200, 404)


def one_of(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Any of these."""
    return st.sampled_from(values)


TARGETS = sorted({asked.target.partition("?")[0] for asked in GOOD})
QUERIES = ["", "?attention=none", "?attention=x", "?model=nope", "?version=1", "?version=", "?a=1&a=2", "?%00", "?&"]
BODIES = [b"", b"{", b"null", ONE, SEVERAL, PICTURE, PICTURES, TENSOR, bytes(20_001), b'{"sequence": [[1, NaN]]}']
HEADERS = [
    OPENED, JSON, (b"authorization", b"bearer x"), (b"content-type", b"image/png"), (b"content-length", b"-1"),
    (b"content-encoding", b"gzip"), (b"content-encoding", b"identity"), (b"accept", b"text/plain"), (b"accept", b"*/*"),
    (b"accept", b"image/svg+xml, application/json;q=0"), (b"origin", b"https://example.org"), (b"expect", b"\xff"),
    LENGTH, (LENGTH[0], b"0"),
    (b"x-request-timeout-ms", b"90000"), (b"x-request-timeout-ms", b"x"), (b"content-type", b"multipart/form-data"),
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    method=one_of(["GET", "HEAD", "POST", "PUT", "OPTIONS", "get"]),
    target=st.tuples(one_of(TARGETS), one_of(["", "", "", "/", "%0A", "/x"]), one_of(QUERIES)).map("".join),
    body=one_of(BODIES),
    headers=st.lists(one_of(HEADERS), max_size=4),
    is_opened=st.booleans(),
)
def test_any_request_is_answered_alike(
    both: Both, method: str, target: str, body: bytes, headers: list[tuple[bytes, bytes]], is_opened: bool
) -> None:
    """Whatever is right or wrong with it, and however much at once."""
    keys = [OPENED] if is_opened else []

    in_front, behind = both.ask(Asked(method, target, body, (*keys, *headers)))

    assert in_front == behind
    assert in_front.status < 500


class BrokenSession(Session):
    """A real session, until it is loaded."""

    _is_loaded = False

    def __init__(self, model: bytes, pace: Pace | None) -> None:
        super().__init__(model, pace)
        self._is_loaded = True

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """Fails, and says what nobody may hear."""
        if self._is_loaded:
            raise KeyError("/secret/path")
        return super().run(rows, outputs)


def test_bug_is_told_alike(repository: Path) -> None:
    """A problem that says nothing of the inside."""
    broken = Settings(model_repository=repository)
    with structlog.testing.capture_logs(), running(broken, load_graph=BrokenSession) as client:
        in_front, behind = Both(client, "").ask(Asked("POST", "/predict/timeseries", ONE))

    assert in_front == behind
    assert (in_front.status, json.loads(in_front.body)["type"]) == (500, "urn:heed:problem:internal")
    assert b"secret" not in in_front.body
