"""The body of an inference request, as /openapi.json says it."""

from typing import Any

from service.datatypes import DATATYPES
from service.examples import INFERENCE, SERIES
from service.inference_request import LARGEST_SIZE
from service.routing import Document

SIZE: Document = {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE}
NAME: Document = {"type": "string", "description": "the tensor's name in the graph"}


def _object(title: str, properties: Document, required: list[str]) -> Document:
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _parameters(example: Document, **known: Document) -> Document:
    others = "shared memory and classification are refused, what else there is ignored"
    return {"type": ["object", "null"], "description": others, "properties": known, "examples": [example]}


def _text(description: str, example: str) -> Document:
    return {"type": ["string", "null"], "description": description, "examples": [example]}


def _flag(description: str, *others: str) -> Document:
    return {"type": ["boolean", *others], "description": description, "examples": [False]}


REQUEST_INPUT = _object(
    "InferenceInput",
    {
        "name": {**NAME, "examples": ["sequence"]},
        "shape": {"type": "array", "items": SIZE, "description": "of all rows", "examples": [[1, 10, 2]]},
        "datatype": {"enum": list(DATATYPES), "description": "what its values are", "examples": ["FP32"]},
        "parameters": _parameters(
            {},
            binary_data_size={
                "anyOf": [SIZE, {"type": "null"}],
                "description": "bytes after the JSON, where the tensor is there",
                "examples": [80],
            },
        ),
        "data": {
            "type": ["array", "null"],
            "items": {},
            "description": "nested as the shape says, or flat",
            "examples": [[SERIES]],
        },
    },
    ["name", "shape", "datatype"],
)
REQUEST_OUTPUT = _object(
    "RequestedOutput",
    {
        "name": {**NAME, "examples": ["probabilities"]},
        "parameters": _parameters({}, binary_data=_flag("whether it is wanted in binary", "null")),
    },
    ["name"],
)
REQUEST: dict[str, Any] = _object(
    "InferenceRequest",
    {
        "id": _text("comes back in the answer", "42"),
        "model_name": _text("the path's, where it is said at all", "timeseries"),
        "model_version": _text("the path's, where it is said at all", "1"),
        "parameters": _parameters(
            {"attention": False},
            timeout={
                **SIZE,
                "description": "microseconds in which the answer is wanted; 0: as long as others have",
                "examples": [250000],
            },
            attention=_flag("false leaves out attention and contributions"),
            binary_data_output=_flag("outputs in binary that do not say otherwise"),
        ),
        "inputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": REQUEST_INPUT,
            "description": "the graph's one input",
            "examples": [INFERENCE["inputs"]],
        },
        "outputs": {
            "type": ["array", "null"],
            "items": REQUEST_OUTPUT,
            "description": "those that are wanted, in their order; without, every one",
            "examples": [INFERENCE["outputs"]],
        },
    },
    ["inputs"],
)
