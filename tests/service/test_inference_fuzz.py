"""No inference request, however made, is answered with a 500."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.datatypes import DATATYPES
from tests.service.client import Client
from tests.service.inference import FLAT, INFER, LENGTH, in_binary, packed, the_input
from tests.service.test_fuzz import JSON, NUMBERS, assert_is_answered

QUIET = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEGMENTS = ["models", "timeseries", "versions", "1", "infer", "ready", "config", "stats"]
MODELS = st.sampled_from(["timeseries", "any_length", "image", "one_feature"])
SIZES = st.integers(-1, 12) | st.integers(-(2**70), 2**70) | JSON
NAMES = st.sampled_from(["sequence", "image", "attention", "logits", "", "x"]) | st.text(max_size=5)
PARAMETERS = st.dictionaries(
    st.sampled_from([
        "binary_data_size", "binary_data", "binary_data_output", "timeout", "attention", "classification",
        "shared_memory_region", "sequence_id", "priority",
    ]) | st.text(max_size=5),
    st.booleans() | st.integers(-2, 200) | JSON,
    max_size=4,
)  # fmt: skip
INPUTS = st.fixed_dictionaries(
    {"name": NAMES, "shape": st.lists(SIZES, max_size=5) | st.just([1, 10, 2]) | JSON},
    optional={
        "datatype": st.sampled_from(list(DATATYPES)) | JSON,
        "data": st.lists(NUMBERS, max_size=20) | st.just(FLAT) | JSON,
        "parameters": PARAMETERS | JSON,
    },
)
OUTPUTS = st.fixed_dictionaries({"name": NAMES}, optional={"parameters": PARAMETERS | JSON})
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(INPUTS | JSON, max_size=2) | JSON},
    optional={
        "id": st.text(max_size=5) | JSON,
        "parameters": PARAMETERS | JSON,
        "outputs": st.lists(OUTPUTS | JSON, max_size=3) | JSON,
        "more": JSON,
    },
)


def ask(client: Client, model: str, content: bytes, headers: dict[str, str]) -> None:
    """The response is an answer, or a problem of the caller's."""
    assert_is_answered(client.post(INFER.format(model), content=content, headers=headers))


@QUIET
@given(request=REQUESTS, model=MODELS, binary=st.binary(max_size=100), shift=st.integers(-3, 3) | st.none())
def test_any_request(client: Client, request: Any, model: str, binary: bytes, shift: int | None) -> None:
    """Near to what is expected and far from it, with binary data and without, and a length that is right or not."""
    head = json.dumps(request).encode()
    headers = {} if shift is None else {LENGTH: str(max(0, len(head) + shift))}

    ask(client, model, head + binary, headers)


@QUIET
@given(content=st.binary(max_size=200), length=st.none() | st.integers(0, 20) | st.text("0123456789-+. x", max_size=5),
       model=MODELS)  # fmt: skip
@example(content=b"", length=0, model="any_length")
@example(content=bytes(8), length=0, model="any_length")
@example(content=bytes(64), length=0, model="image")
def test_any_bytes(client: Client, content: bytes, length: Any, model: str) -> None:
    """Raw binary requests, and what is none."""
    ask(client, model, content, {} if length is None else {LENGTH: str(length)})


@QUIET
@given(data=st.data())
def test_good_request_with_bytes_changed(client: Client, data: st.DataObject) -> None:
    """Wherever they are, and cut short."""
    given_input = the_input(data=None, parameters={"binary_data_size": 80})
    request = in_binary({"inputs": [given_input], "outputs": [{"name": "logits"}]}, packed(FLAT))
    content = bytearray(request.content)
    places = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = value
    cut = data.draw(st.none() | st.integers(0, len(content)))

    ask(client, "timeseries", bytes(content[:cut]), request.headers)


@QUIET
@given(path=st.lists(st.sampled_from(SEGMENTS) | st.text(max_size=8), max_size=5))
def test_any_path(client: Client, path: list[str]) -> None:
    """Below /v2."""
    url = "/v2/" + "/".join(quote(segment.encode("utf-8", "surrogatepass"), safe="") for segment in path)
    for response in (client.get(url), client.post(url, json={"inputs": []})):
        assert_is_answered(response)
