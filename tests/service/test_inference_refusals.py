"""POST …/infer: requests that are refused, and how it is told."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.conftest import SERIES
from tests.service.inference import (
    FLAT,
    INFER,
    LENGTH,
    REFUSED,
    Request,
    answer_of,
    asked,
    binary_series,
    in_binary,
    in_json,
    packed,
    the_input,
)
from tests.service.tiny_models import publish, timeseries_model

BYTES = packed(FLAT)


def refusal(client: Client, request: Request, model: str = "timeseries") -> str:
    """The detail of a request that is refused."""
    return problem(asked(client, request, model), *REFUSED)


def binary_input(size: int | None = len(BYTES), **changes: Any) -> dict[str, Any]:
    """The input, its data in binary."""
    return the_input(data=None, parameters={"binary_data_size": size}, **changes)


@pytest.mark.parametrize(
    ("inputs", "detail"),
    [
        ([], "the input 'sequence' of model 'timeseries' is missing"),
        ([the_input(), the_input()], "the input 'sequence' of model 'timeseries' is given more than once"),
        ([the_input(name="sequnce")], "model 'timeseries' has no input 'sequnce', its one input is 'sequence'"),
        ([the_input(), the_input(name="x" * 999)], "has no input 'xxx"),
        ([the_input(data=None)], "input 'sequence' has neither data nor the parameter binary_data_size"),
        ([the_input(parameters={"binary_data_size": 80})], "input 'sequence' has both data and the parameter"),
        ([binary_input()], "is in binary, and the header Inference-Header-Content-Length is missing"),
        ([the_input(datatype="FP64")], "input 'sequence' is FP64, model 'timeseries' takes FP32"),
        ([the_input(datatype="INT32")], "input 'sequence' is INT32, model 'timeseries' takes FP32"),
        ([the_input(datatype="BYTES", data=["a"])], "input 'sequence' is BYTES, model 'timeseries' takes FP32"),
        ([the_input(datatype="FP16")], "is FP16, which has no form in JSON; model 'timeseries' takes FP32"),
        ([the_input(datatype="BF16")], "is BF16, which has no form in JSON; model 'timeseries' takes FP32"),
        ([the_input(datatype="fp32")], "has the datatype 'fp32', known are BOOL, UINT8"),
        ([the_input(datatype="STRING")], "has the datatype 'STRING', known are BOOL, UINT8"),
        ([the_input(shape=[1, 9, 2], data=FLAT[:18])], "has the shape [1, 9, 2], model 'timeseries' takes [-1, 10, 2]"),
        ([the_input(shape=[10, 2])], "has the shape [10, 2], model 'timeseries' takes [-1, 10, 2]"),
        ([the_input(shape=[20])], "has the shape [20], model"),
        ([the_input(shape=[])], "has the shape [], model"),
        ([the_input(shape=[1] * 99)], "has the shape 99 dimensions, model"),
        ([the_input(shape=[0, 10, 2], data=[])], "input 'sequence' has 0 rows, 1 to 40 are taken"),
        ([the_input(shape=[41, 10, 2], data=FLAT * 41)], "input 'sequence' has 41 rows, 1 to 40 are taken"),
        ([the_input(shape=[2**62, 10, 2])], "input 'sequence' has 4611686018427387904 rows"),
        ([the_input(data=FLAT[:-1])], "inputs[0].data has 19 values, the shape [1, 10, 2] has 20"),
        ([the_input(data=[[*SERIES[:9], [1]]])], "inputs[0].data[0][9] has 1 elements, expected is an array of 2"),
        ([the_input(data=[SERIES, SERIES])], "inputs[0].data has 2 elements, expected is an array of 1"),
        ([the_input(data=[*FLAT[:19], True])], "inputs[0].data[19] is true, expected is a number that FP32 can hold"),
        ([the_input(data=[*FLAT[:19], 1e39])], "inputs[0].data[19] is 1e+39, expected is a number that FP32 can hold"),
        ([the_input(data=[*FLAT[:19], float("nan")])], "inputs[0].data[19] is NaN"),
        ([the_input(data=7)], "inputs[0].data is 7, expected is an array"),
        ([the_input(data=None, parameters={"shared_memory_region": "r"})], "shared memory, which is not supported"),
    ],
)
def test_wrong_inputs_are_named(client: Client, inputs: list[Any], detail: str) -> None:
    """What was found, and what the model takes."""
    assert detail in refusal(client, in_json({"inputs": inputs}))


@pytest.mark.parametrize(
    ("request_of", "detail"),
    [
        (
            in_binary({"inputs": [binary_input(81)]}, BYTES),
            "binary_data_size of input 'sequence' is 81, 80 bytes follow",
        ),
        (in_binary({"inputs": [binary_input()]}, BYTES, b"x"), "binary_data_size of input 'sequence' is 80, 81 bytes"),
        (in_binary({"inputs": [binary_input()]}, BYTES[1:]), "is 80, 79 bytes follow the JSON"),
        (in_binary({"inputs": [binary_input(0)]}), "input 'sequence' has 0 bytes, the shape [1, 10, 2] of FP32 has 80"),
        (in_binary({"inputs": [binary_input(76)]}, BYTES[4:]), "has 76 bytes, the shape [1, 10, 2] of FP32 has 80"),
        (in_binary({"inputs": [binary_input(shape=[2, 10, 2])]}, BYTES), "the shape [2, 10, 2] of FP32 has 160"),
        (
            in_binary({"inputs": [the_input()]}, BYTES),
            "80 bytes follow the JSON, and input 'sequence' has no binary_data",
        ),
        (in_binary({"inputs": [binary_input(datatype="FP16")]}, BYTES), "is FP16, model 'timeseries' takes FP32"),
        (in_binary({"inputs": [the_input(data=None)]}, BYTES), "has neither data nor the parameter binary_data_size"),
        (Request(BYTES[:-1], {LENGTH: "0"}), "the body has 79 bytes, which is no row of input 'sequence', FP32 of the"),
        (Request(BYTES * 2, {LENGTH: "0"}), "input 'sequence' has 160 bytes, the shape [1, 10, 2] of FP32 has 80"),
        (Request(b"", {LENGTH: "0"}), "the body has 0 bytes, which is no row of input 'sequence'"),
        (Request(b"{}", {LENGTH: "3"}), "Inference-Header-Content-Length is 3, the body has 2 bytes"),
    ],
)
def test_wrong_sizes_are_named(client: Client, request_of: Request, detail: str) -> None:
    """Binary data must be what the JSON says, all of it and nothing more."""
    assert detail in refusal(client, request_of)


@pytest.mark.parametrize(("value", "told"), [(np.nan, "NaN"), (np.inf, "an infinite number"), (-np.inf, "an infinite")])
def test_what_is_no_number_is_refused_in_binary_too(client: Client, value: float, told: str) -> None:
    """As on the other routes; with its place."""
    values = np.array([SERIES, SERIES], np.float32)
    values[1, 7, 1] = value
    raw = Request(packed(values[1].ravel().tolist()), {LENGTH: "0"})

    assert refusal(client, binary_series(values)).startswith(f"[1][7][1] of input 'sequence' is {told}")
    assert refusal(client, raw).startswith(f"[0][7][1] of input 'sequence' is {told}")


@pytest.mark.parametrize(
    ("outputs", "detail"),
    [
        ([{"name": "scores"}], "model 'timeseries' has no output 'scores', its outputs are probabilities, logits, att"),
        ([{"name": "logits"}, {"name": "logits"}], "output 'logits' is asked for more than once"),
        ([{"name": "logits", "parameters": {"classification": 2}}], "as a classification, which is not supported here"),
        ([{"name": "logits", "parameters": {"shared_memory_region": "r"}}], "in shared memory, which is not supported"),
    ],
)
def test_wrong_outputs_are_named(client: Client, outputs: list[Any], detail: str) -> None:
    """Before anything runs."""
    assert detail in refusal(client, in_json({"inputs": [the_input()], "outputs": outputs}))


@pytest.mark.parametrize("output", ["attention", "contributions", "bias"])
def test_attention_is_not_both_left_out_and_asked_for(client: Client, output: str) -> None:
    """Nothing is left out silently that was asked for by name."""
    head = {"inputs": [the_input()], "outputs": [{"name": output}], "parameters": {"attention": False}}

    assert refusal(client, in_json(head)) == f"output '{output}' is asked for, and parameters.attention is false"


@pytest.mark.parametrize(
    ("member", "value"), [("model_name", "image"), ("model_version", "2"), ("model_name", "x" * 999)]
)
def test_another_model_than_the_paths_is_refused(client: Client, member: str, value: str) -> None:
    """The path decides, and the body must not say otherwise."""
    assert refusal(client, in_json({"inputs": [the_input()], member: value})).startswith(f"{member} is '{value[:40]}'")


def test_no_classes_and_the_same_model_are_no_reason(client: Client) -> None:
    """Clients say both as a matter of course."""
    outputs = [{"name": "logits", "parameters": {"classification": 0}}]
    head = {"inputs": [the_input()], "outputs": outputs, "model_name": "timeseries", "model_version": "1"}

    assert answer_of(asked(client, in_json(head))).tensors.keys() == {"logits"}


def test_pixels_are_whole_numbers_up_to_255(client: Client) -> None:
    """An image's input is UINT8."""
    pixels = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": [0] * 63 + [256]}

    assert "data[63] is 256, expected is a whole number from 0 to 255" in refusal(
        client, in_json({"inputs": [pixels]}), "image"
    )
    assert "is FP32, model 'image' takes UINT8" in refusal(
        client, in_json({"inputs": [pixels | {"datatype": "FP32"}]}), "image"
    )


@pytest.mark.parametrize(
    ("rows", "steps", "status"), [(1, 500, 200), (5, 100, 200), (1, 501, REFUSED[0]), (6, 100, REFUSED[0])]
)
def test_time_steps_of_a_request_are_bounded(client: Client, rows: int, steps: int, status: int) -> None:
    """Where a graph leaves the length open, all rows together, as on the other routes."""
    request = binary_series(np.zeros((rows, steps, 2), np.float32))

    response = asked(client, request, "any_length")

    assert response.status_code == status
    if status != 200:
        detail = problem(response, *REFUSED)
        assert detail == f"the request has {rows * steps} time steps, at most 500 are taken"


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'{"inputs":[%s]}' % (b"[]," * 100_000)[:-1], "far more values than the 1000 that model 'any_length'"),
        (b'{"inputs":[{"data":[%s]}]}' % (b"1," * 150_000)[:-1], "far more values"),
        (b'{"inputs":[{"data":[%s]}]}' % (b'"1",' * 80_000)[:-1], "more than 2048 strings in it"),
        (b"{%s}" % (b'"a":1,' * 50_000)[:-1], "more than 2048 strings in it"),
    ],
)
def test_hopeless_bodies_are_refused_before_they_are_parsed(client: Client, content: bytes, detail: str) -> None:
    """Three hundred kilobytes of commas become many times as much in a parser: refused by counting them."""
    assert detail in refusal(client, Request(content, {}), "any_length")


def test_long_wrong_body_is_told_as_a_short_one(client: Client) -> None:
    """It is read in a thread; the complaint is the same."""
    head = {
        "inputs": [the_input(shape=[40, 10, 2], data=[*(0.123456789 for _ in range(799)), "x"])],
        "id": "i" * 40_000,
    }

    assert "inputs[0].data[799] is a string" in refusal(client, in_json(head))


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_other_media_types_are_refused(client: Client, media_type: str) -> None:
    """415, and the detail says what is taken."""
    response = asked(client, in_json({"inputs": [the_input()]}), **{"Content-Type": media_type})

    detail = problem(response, 415, "unsupported-media-type")
    assert media_type in detail
    assert "application/octet-stream" in detail


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v2/models/nope{}", "unknown-model"),
        ("/v2/models/%2E%2E{}", "unknown-model"),
        ("/v2/models/timeseries/versions/2{}", "unknown-version"),
        ("/v2/models/timeseries/versions/01{}", "unknown-version"),
        ("/v2/models/timeseries/versions/latest{}", "unknown-version"),
        ("/v2/models//versions/1{}", "not-found"),
        ("/v2/models/timeseries/versions/{}", "not-found"),
        ("/v2/models/timeseries/x{}", "not-found"),
    ],
)
def test_unknown_models_and_versions_are_404(client: Client, path: str, word: str) -> None:
    """On every route of a model."""
    response = client.post(path.format("/infer"), json={"inputs": [the_input()]})
    described = [client.get(path.format(end)) for end in ("", "/ready", "/config", "/stats")]

    problem(response, 404, word)
    for one in described:
        problem(one, 404, word)


def test_body_that_is_not_json_is_malformed(client: Client) -> None:
    """In front of binary data too."""
    alone = asked(client, Request(b"{", {}))
    in_front = asked(client, Request(b"{" + BYTES, {LENGTH: "1"}))
    base64_alone = asked(client, Request(base64.b64encode(BYTES), {}))

    for response in (alone, in_front, base64_alone):
        assert "the request is not JSON" in problem(response, 400, "malformed-body")


@pytest.mark.parametrize("parameters", [{}, {"binary_data_output": False}])
def test_nan_has_no_form_in_json(tmp_path: Path, parameters: dict[str, Any]) -> None:
    """Not even null: it is refused, and in binary it is answered."""
    publish(tmp_path, "timeseries", "1", timeseries_model(weights=np.array([1e10, 1e10], np.float32)))
    huge = np.full((1, 10, 2), 3e38, np.float32)
    huge[..., 1] *= -1
    with running(Settings(model_repository=tmp_path)) as client:
        refused = refusal(client, binary_series(huge, parameters=parameters))
        answer = answer_of(asked(client, binary_series(huge, parameters={"binary_data_output": True})))
        beside = answer_of(asked(client, binary_series(np.zeros((1, 10, 2), np.float32), parameters=parameters)))

    assert "is not finite for this input, and JSON has no NaN and no infinity; ask for it in binary" in refused
    assert not all(np.isfinite(values).all() for values in answer.tensors.values())
    assert all(np.isfinite(values).all() for values in beside.tensors.values())


def test_refusals_have_the_protocols_form(client: Client) -> None:
    """Clients of the protocol look for `error`, whatever else there is."""
    response = asked(client, in_json({"inputs": []}))

    document = json.loads(response.content)
    assert document["error"] == document["detail"]
    assert client.post(INFER.format("nope"), json={"inputs": []}).json()["error"].startswith("there is no model 'nope'")
