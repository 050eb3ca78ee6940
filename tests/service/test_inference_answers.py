"""POST …/infer: answers against onnxruntime's own, to the last bit, in every form."""

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.service.client import Client, problem
from tests.service.conftest import SERIES
from tests.service.inference import (
    EVERYTHING,
    FLAT,
    INFER,
    LENGTH,
    ONE,
    Request,
    answer_of,
    asked,
    assert_same,
    binary_series,
    by_onnxruntime,
    in_binary,
    in_json,
    packed,
    the_input,
)
from tests.service.tiny_models import image_model, timeseries_model

FLOATS = st.floats(-1e6, 1e6, width=32)


@pytest.mark.parametrize("data", [[SERIES], FLAT])
def test_answer_in_json(client: Client, data: Any) -> None:
    """Nested and flat: every output of the graph in its order, flat, and the id as it came."""
    response = asked(client, in_json({"id": "42", "inputs": [the_input(data=data)]}))

    answer = answer_of(response)
    assert answer.document.keys() == {"id", "model_name", "model_version", "outputs"}
    assert (answer.document["id"], answer.document["model_name"], answer.document["model_version"]) == (
        "42", "timeseries", "1",
    )  # fmt: skip
    assert [output["name"] for output in answer.document["outputs"]] == EVERYTHING
    assert all(not isinstance(output["data"][0], list) for output in answer.document["outputs"])
    assert_same(answer.tensors, by_onnxruntime(timeseries_model(), ONE, EVERYTHING))


def test_answer_in_binary_is_as_written_by_hand(client: Client) -> None:
    """Byte by byte: the JSON, its length in a header, the outputs one after another in the order that was asked for."""
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in ("bias", "attention")]
    response = asked(client, binary_series(ONE, outputs=outputs))

    expected = by_onnxruntime(timeseries_model(), ONE, EVERYTHING)
    length = int(response.headers[LENGTH])
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-length"] == str(len(response.content)) == str(length + 8 + 80)
    assert json.loads(response.content[:length]) == {
        "model_name": "timeseries",
        "model_version": "1",
        "outputs": [
            {"name": "bias", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
            {"name": "attention", "datatype": "FP32", "shape": [1, 10, 2], "parameters": {"binary_data_size": 80}},
        ],
    }
    assert response.content[length:] == packed(
        expected["bias"].ravel().tolist() + expected["attention"].ravel().tolist()
    )


@settings(max_examples=60, deadline=None)
@given(
    values=arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6), st.just(2)), elements=FLOATS),
    form=st.sampled_from(["nested", "flat", "binary"]),
    outputs=st.lists(st.tuples(st.sampled_from(EVERYTHING), st.none() | st.booleans()), unique_by=lambda one: one[0]),
    otherwise=st.none() | st.booleans(),
)
def test_any_series_in_any_form(
    client: Client, values: Any, form: str, outputs: list[tuple[str, bool | None]], otherwise: bool | None
) -> None:
    """In JSON, in binary and mixed, in and out: onnxruntime's own numbers, each output in the form asked for."""
    head: dict[str, Any] = {
        "outputs": [{"name": name, "parameters": {"binary_data": how}} for name, how in outputs],
        "parameters": {} if otherwise is None else {"binary_data_output": otherwise},
    }
    data = values.tolist() if form == "nested" else values.ravel().tolist()
    request = (
        binary_series(values, **head)
        if form == "binary"
        else in_json({"inputs": [the_input(shape=list(values.shape), data=data)], **head})
    )

    answer = answer_of(asked(client, request, "any_length"))

    wanted = outputs or [(name, None) for name in EVERYTHING]
    assert_same(answer.tensors, by_onnxruntime(timeseries_model("time"), values, [name for name, _ in wanted]))
    for output, (name, how) in zip(answer.document["outputs"], wanted, strict=True):
        assert output["name"] == name
        assert ("data" not in output) == (bool(otherwise) if how is None else how)


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 40])
def test_more_rows_than_one_run_takes(client: Client, count: int, is_binary: bool) -> None:
    """They run in slices and come back whole, in their order, to the last bit."""
    values = np.random.default_rng(count).normal(0, 5, (count, 10, 2)).astype(np.float32)

    answer = answer_of(asked(client, binary_series(values, parameters={"binary_data_output": is_binary})))

    assert_same(answer.tensors, by_onnxruntime(timeseries_model(), values, EVERYTHING))


@pytest.mark.parametrize("is_binary", [False, True])
def test_pixels_are_taken_as_they_are(client: Client, is_binary: bool) -> None:
    """An image's input is the graph's own: rows, columns, channels."""
    pixels = np.arange(2 * 6 * 4 * 3, dtype=np.uint8).reshape(2, 6, 4, 3)
    given = {"name": "image", "shape": [2, 6, 4, 3], "datatype": "UINT8"}
    size = {"parameters": {"binary_data_size": pixels.size}}
    request = (
        in_binary({"inputs": [given | size]}, bytes(pixels.ravel().tolist()))
        if is_binary
        else in_json({"inputs": [given | {"data": pixels.tolist()}]})
    )

    answer = answer_of(asked(client, request, "colour"))

    model = image_model(6, 4, 3, "stretch", ["night", "day"])
    assert_same(answer.tensors, by_onnxruntime(model, pixels, ["probabilities", "logits", "attention"]))


@pytest.mark.parametrize(("model", "steps"), [("timeseries", 10), ("any_length", 1), ("any_length", 7)])
def test_raw_binary_request_is_one_row(client: Client, model: str, steps: int) -> None:
    """The whole body is the tensor, an open dimension follows from its length, and all is answered in binary."""
    values = np.random.default_rng(steps).normal(size=(1, steps, 2)).astype(np.float32)

    answer = answer_of(asked(client, Request(packed(values.ravel().tolist()), {LENGTH: "0"}), model))

    assert "id" not in answer.document
    assert all("parameters" in output for output in answer.document["outputs"])
    graph = timeseries_model() if model == "timeseries" else timeseries_model("time")
    assert_same(answer.tensors, by_onnxruntime(graph, values, EVERYTHING))


def test_raw_binary_picture(client: Client) -> None:
    """The graph's own rows, columns and channels."""
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)

    answer = answer_of(asked(client, Request(bytes(pixels.ravel().tolist()), {LENGTH: "0"}), "image"))

    np.testing.assert_array_equal(answer.tensors["attention"], pixels)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies(client: Client, encoding: str) -> None:
    """Lengths in the JSON and in the header are those before compression, as stock clients have it."""
    content, headers = binary_series(ONE)
    compress = gzip.compress if encoding == "gzip" else zlib.compress

    answer = answer_of(asked(client, Request(compress(content), headers), **{"Content-Encoding": encoding}))

    assert_same(answer.tensors, by_onnxruntime(timeseries_model(), ONE, EVERYTHING))


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/octet-stream", "application/json; charset=utf-8"]
)
@pytest.mark.parametrize("request_of", [in_json({"inputs": [the_input()]}), binary_series(ONE)])
def test_media_type_says_nothing_of_the_form(client: Client, request_of: Request, media_type: str) -> None:
    """The header of the length does; clients call both forms by both names."""
    answer = answer_of(asked(client, request_of, **{"Content-Type": media_type}))

    assert_same(answer.tensors, by_onnxruntime(timeseries_model(), ONE, EVERYTHING))


def test_without_content_type(client: Client) -> None:
    """As tritonclient sends it."""
    content, _ = in_json({"inputs": [the_input()]})

    assert asked(client, Request(content, {})).status_code == 200


@pytest.mark.parametrize("id_", ["", "42", 'ü😀\n\x00"', "x" * 100_000])
def test_id_comes_back(client: Client, id_: str) -> None:
    """Whatever it is, in both forms of an answer."""
    for how in (False, True):
        head = {"id": id_, "inputs": [the_input()], "parameters": {"binary_data_output": how}}
        assert answer_of(asked(client, in_json(head))).document["id"] == id_


def test_attention_is_left_out(client: Client) -> None:
    """And contributions with it; true is what is done anyway."""
    answers = [
        answer_of(asked(client, in_json({"inputs": [the_input()], "parameters": {"attention": how}})))
        for how in (False, True)
    ]

    assert [list(answer.tensors) for answer in answers] == [["probabilities", "logits"], EVERYTHING]


def test_requests_of_both_interfaces_meet(client: Client) -> None:
    """Asked at once, by many and for different things: each is answered as if alone."""
    chance = np.random.default_rng(7)
    values = [chance.normal(size=(1 + index % 3, 10, 2)).astype(np.float32) for index in range(30)]
    contents = [binary_series(one, parameters={"attention": index % 2 == 0}) for index, one in enumerate(values)]
    answers = client.post_together(
        INFER.format("timeseries"), [content for content, _ in contents], headers=contents[0].headers
    )

    # Their heads differ by one letter: those of another length are asked with their own.
    for one, content, response in zip(values, contents, answers, strict=True):
        whole = response if content.headers == contents[0].headers else asked(client, content)
        answer = answer_of(whole)
        assert_same(answer.tensors, by_onnxruntime(timeseries_model(), one, answer.tensors))


@pytest.mark.parametrize("timeout", [1, 10, 100])
def test_time_that_is_over_is_told(client: Client, timeout: int) -> None:
    """In microseconds; who has so little is not run."""
    head = {"inputs": [the_input(shape=[40, 10, 2], data=[0.5] * 800)], "parameters": {"timeout": timeout}}

    problem(asked(client, in_json(head)), 504, "deadline")


@pytest.mark.parametrize("timeout", [0, 20_000_000, 2**63 - 1])
def test_time_that_is_enough_changes_nothing(client: Client, timeout: int) -> None:
    """0 is no time of one's own, as in Triton."""
    assert asked(client, in_json({"inputs": [the_input()], "parameters": {"timeout": timeout}})).status_code == 200


def test_timings_are_told(client: Client) -> None:
    """As on the other routes."""
    header = asked(client, binary_series(ONE)).headers["server-timing"]

    assert [part.partition(";")[0] for part in header.split(", ")] == ["decode", "queue", "inference"]


def test_long_bodies_are_read_in_a_thread(client: Client) -> None:
    """To the same answer."""
    values = np.random.default_rng(3).normal(size=(40, 10, 2)).astype(np.float32)
    head = {"inputs": [the_input(shape=[40, 10, 2], data=values.tolist())], "id": "i" * 40_000}

    answer = answer_of(asked(client, in_json(head)))

    assert_same(answer.tensors, by_onnxruntime(timeseries_model(), values, EVERYTHING))
