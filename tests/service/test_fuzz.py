"""No request, however made, is answered with a 500."""

import base64
import json
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.service.client import Client
from tests.service.conftest import SERIES
from tests.service.picture_files import FILES

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=20,
)
NUMBERS = st.floats(width=32) | st.integers(-(10**50), 10**50) | st.floats()
BODIES = (
    st.fixed_dictionaries({"sequence": st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=12) | JSON})
    | st.fixed_dictionaries({"sequences": st.lists(st.just(SERIES) | JSON, max_size=4)})
    | st.fixed_dictionaries({"image": st.text() | st.sampled_from([base64.b64encode(file).decode() for file in FILES])})
    | st.fixed_dictionaries({"images": st.lists(st.text(), max_size=3)})
    | JSON
)
PATHS = ["/predict/timeseries", "/predict/timeseries/batch", "/predict/image", "/predict/image/batch"]
TIMEOUT = "X-Request-Timeout-Ms"
# Of what schemathesis makes: the parts of a request.
SENT = ("json", "data", "files", "params", "headers")
TYPES = ["application/json", "image/png", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", ""]
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# How long a series is, and what base64 holds, the document cannot say: what keeps to it may still be refused.
NOT_CHECKED = [positive_data_acceptance]


def assert_is_answered(response: Any) -> None:
    """An answer, or a problem that is the caller's."""
    assert response.status_code < 500
    assert response.status_code == 200 or response.headers["content-type"] == "application/problem+json"


@QUIET
@given(body=BODIES, path=st.sampled_from(PATHS), model=st.sampled_from(["", "?model=any_length", "?model=one_feature"]))
def test_any_json(client: Client, body: Any, path: str, model: str) -> None:
    """JSON of any shape, near to what is expected and far from it."""
    headers = {"Content-Type": "application/json"}
    assert_is_answered(client.post(path + model, content=json.dumps(body).encode(), headers=headers))


@QUIET
@given(
    content=st.binary(max_size=200) | st.sampled_from(FILES),
    path=st.sampled_from(PATHS),
    media_type=st.sampled_from(TYPES),
    encoding=st.sampled_from(["", "gzip", "deflate", "identity", "br"]),
    accept=st.sampled_from(["*/*", "image/png", ""])
    | st.text(st.characters(codec="ascii", categories=["L", "N", "P"])),
)
def test_any_bytes(client: Client, content: bytes, path: str, media_type: str, encoding: str, accept: str) -> None:
    """Bytes of any kind under any declaration."""
    headers = {"Content-Type": media_type, "Content-Encoding": encoding, "Accept": accept}
    assert_is_answered(client.post(path, content=content, headers=headers))


@QUIET
@given(data=st.data())
def test_any_form(client: Client, data: st.DataObject) -> None:
    """A form of two files with bytes changed, cut and added."""
    form = bytearray(
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\nContent-Type: image/png\r\n\r\n'
        + FILES[0][:80]
        + b'\r\n--x\r\nContent-Disposition: form-data; name="c"; filename="d"\r\n\r\nGIF89a\r\n--x--\r\n'
    )
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(form) - 1), st.integers(0, 255)), max_size=4)):
        form[place] = value
    cut = data.draw(st.integers(0, len(form)))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in PATHS[2:]:
        assert_is_answered(client.post(path, content=bytes(form[:cut] if cut % 2 else form), headers=headers))


@QUIET
@given(query=st.binary(max_size=40).map(lambda value: value.decode("latin-1")) | st.text(max_size=20))
def test_any_query(client: Client, query: str) -> None:
    """Query strings of any kind."""
    assert_is_answered(client.post("/predict/timeseries", params=query, json={"sequence": SERIES}))


@pytest.mark.parametrize("mode", GenerationMode)
def test_the_document_is_kept(client: Client, mode: GenerationMode) -> None:
    """What schemathesis makes of the document, by its rules and against them, is answered as the document says: the
    status, the media type, the headers and the body, and what breaks the rules is refused.
    """
    document = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    results: list[Any] = list(document.get_all_operations())
    operations = [result.ok() for result in results]

    for operation in operations:
        if mode is GenerationMode.POSITIVE or can_be_asked_wrongly(operation.definition.raw):
            ask_at_random(client, operation, mode)
    assert len(operations) == 26


def can_be_asked_wrongly(operation: dict[str, Any]) -> bool:
    """What takes no body, and nothing but a name in its path, which any word may be, cannot."""
    elsewhere = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
    return bool(elsewhere) or "requestBody" in operation


def ask_at_random(client: Client, operation: Any, mode: GenerationMode) -> None:
    """Requests that schemathesis makes for one operation."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(mode))
    def ask(case: Any) -> None:
        made = case.as_transport_kwargs(base_url="http://heed")
        if made["headers"].get(TIMEOUT, "").isdigit():
            # A time that is too short is kept to, with a 504; with more digits it is as right or wrong as before.
            made["headers"][TIMEOUT] += "0000"
        # An empty text is a body too.
        parts = {name: made[name] for name in SENT if made.get(name) is not None}
        sent = requests.Request(made["method"], made["url"], **parts).prepare()
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        response = client.request(made["method"], str(sent.url), content=body, headers=dict(sent.headers))
        case.validate_response(response, excluded_checks=NOT_CHECKED)

    ask()
