"""The body of an inference request: where its JSON ends, and what of that is not as the protocol has it."""

import json
from typing import Any

import pytest

from service.inference_request import InputParameters, OutputParameters, Parts, RequestParameters, parsed, parts_of
from service.problems import InvalidInput, MalformedBody
from tests.service.inference import the_input

LENGTH = b"inference-header-content-length"


def test_without_the_header_all_is_json() -> None:
    """And nothing is binary."""
    assert parts_of(b"{}xy", [(b"host", b"x")]) == Parts(b"{}xy", None)


@pytest.mark.parametrize(
    ("length", "head", "binary"), [(b"2", b"{}", b"xy"), (b"0", b"", b"{}xy"), (b"004", b"{}xy", b"")]
)
def test_the_header_parts_the_body(length: bytes, head: bytes, binary: bytes) -> None:
    """0: all of it is one tensor."""
    assert parts_of(b"{}xy", [(LENGTH, length), (LENGTH, length)]) == Parts(head, memoryview(binary))


@pytest.mark.parametrize("length", [b"5", b"9" * 18, b"9" * 5000])
def test_a_head_longer_than_the_body_is_refused(length: bytes) -> None:
    """With both lengths."""
    with pytest.raises(InvalidInput, match=r"^Inference-Header-Content-Length is [59]+…?, the body has 4 bytes$"):
        parts_of(b"{}xy", [(LENGTH, length)])


@pytest.mark.parametrize("lengths", [[b""], [b"-1"], [b"1.5"], [b"two"], [b"2", b"3"], [b" 2"], ["٢".encode()]])
def test_what_is_no_length_is_refused(lengths: list[bytes]) -> None:
    """Also two of them."""
    with pytest.raises(InvalidInput, match="Inference-Header-Content-Length is not one whole number"):
        parts_of(b"{}xy", [(LENGTH, length) for length in lengths])


@pytest.mark.parametrize(
    ("head", "detail"),
    [
        ([], "the body is an array, expected is an object"),
        ({}, "the member 'inputs' is missing"),
        ({"inputs": None}, "inputs is null, expected is an array"),
        ({"inputs": {}}, "inputs is an object, expected is an array"),
        ({"inputs": [1]}, "inputs[0] is 1, expected is an object"),
        ({"inputs": [{}]}, "the member 'inputs[0].name' is missing"),
        ({"inputs": [the_input(shape="x")]}, "inputs[0].shape is a string, expected is an array"),
        ({"inputs": [the_input(shape=[1, -1])]}, "inputs[0].shape[1] is -1, expected is a whole number from 0 to 922"),
        ({"inputs": [the_input(shape=[1.0])]}, "inputs[0].shape[0] is 1.0, expected is a whole number from 0"),
        ({"inputs": [the_input(shape=[True])]}, "inputs[0].shape[0] is true, expected is a whole number from 0"),
        ({"inputs": [the_input(shape=[2**63])]}, "inputs[0].shape[0] is 9223372036854775808, expected is a whole"),
        ({"inputs": [the_input(name=1)]}, "inputs[0].name is 1, expected is a string"),
        ({"inputs": [the_input(datatype=1)]}, "inputs[0].datatype is 1, expected is a string"),
        (
            {"inputs": [the_input(dtype="FP32")]},
            "unknown member 'inputs[0].dtype', expected are name, shape, datatype,",
        ),
        ({"inputs": [the_input(parameters=[])]}, "inputs[0].parameters is an array, expected is an object"),
        (
            {"inputs": [the_input(parameters={"binary_data_size": "80"})]},
            "inputs[0].parameters.binary_data_size is a string, expected is a whole number from 0",
        ),
        ({"inputs": [], "input": []}, "unknown member 'input', expected are id, model_name,"),
        ({"inputs": [], "id": 42}, "id is 42, expected is a string"),
        ({"inputs": [], "parameters": 1}, "parameters is 1, expected is an object"),
        ({"inputs": [], "parameters": {"timeout": -1}}, "parameters.timeout is -1, expected is a whole number from 0"),
        ({"inputs": [], "parameters": {"timeout": 1.5}}, "parameters.timeout is 1.5, expected is a whole number"),
        ({"inputs": [], "parameters": {"attention": "false"}}, "parameters.attention is a string, expected is true or"),
        ({"inputs": [], "parameters": {"attention": 0}}, "parameters.attention is 0, expected is true or false"),
        (
            {"inputs": [], "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output is 1, expected is true",
        ),
        ({"inputs": [], "outputs": {}}, "outputs is an object, expected is an array"),
        ({"inputs": [], "outputs": ["x"]}, "outputs[0] is a string, expected is an object"),
        (
            {"inputs": [], "outputs": [{"name": "x", "datatype": "FP32"}]},
            "unknown member 'outputs[0].datatype', expected",
        ),
        (
            {"inputs": [], "outputs": [{"name": "x", "parameters": {"binary_data": "yes"}}]},
            "outputs[0].parameters.binary_data is a string, expected is true or false",
        ),
    ],
)
def test_what_is_not_as_the_protocol_has_it_is_told(head: Any, detail: str) -> None:
    """With its place, what was found and what is expected."""
    with pytest.raises(InvalidInput) as refused:
        parsed(json.dumps(head).encode())

    assert detail in refused.value.detail
    assert len(refused.value.detail) < 500


@pytest.mark.parametrize(
    "head", [b"", b"x", b"\xff", b'{"inputs": [', b"[" * 50_000, b"{}{}", b'{"inputs": [], "id": "\xff"}']
)
def test_what_is_not_json_is_malformed(head: bytes) -> None:
    """With the place where reading stopped."""
    with pytest.raises(MalformedBody, match="the request is not JSON"):
        parsed(head)


def test_numbers_of_thousands_of_digits_are_refused() -> None:
    """They are not made into one."""
    with pytest.raises(InvalidInput, match="more digits"):
        parsed(b'{"inputs": [{"name": "a", "shape": [], "datatype": "FP32", "data": [1' + b"0" * 5000 + b"]}]}")


def test_what_clients_say_besides_is_taken() -> None:
    """Null for what is absent, unknown parameters of any kind, and the model's name."""
    request = parsed(
        json.dumps(
            {
                "id": None,
                "model_name": "x",
                "model_version": None,
                "parameters": {"priority": 1, "sequence_id": "a", "mine": {"a": [1]}},
                "inputs": [the_input(parameters={"content_type": "np"})],
                "outputs": None,
            }
        ).encode()
    )

    assert (request.id, request.outputs, request.model_name) == (None, None, "x")
    assert request.inputs[0].shape == [1, 10, 2]


def test_parameters_that_are_null_are_not_given() -> None:
    """Each that is known is as if it were absent; what clients say who fill in every field."""
    nulls = {"timeout": None, "attention": None, "binary_data_output": None, "priority": None}
    the_inputs = {"binary_data_size": None, "shared_memory_region": None}
    the_outputs = {"binary_data": None, "classification": None, "shared_memory_region": None}
    request = parsed(
        json.dumps(
            {
                "parameters": nulls,
                "inputs": [the_input(parameters=the_inputs)],
                "outputs": [{"name": "x", "parameters": the_outputs}],
            }
        ).encode()
    )

    assert request.parameters == RequestParameters()
    assert request.inputs[0].parameters == InputParameters()
    assert request.outputs
    assert request.outputs[0].parameters == OutputParameters()
