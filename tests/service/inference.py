"""Inference requests and answers as bytes, made and read by hand as the protocol and Triton's extension have them."""

import json
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tests.service.client import Client
from tests.service.conftest import SERIES

INFER = "/v2/models/{}/infer"
LENGTH = "Inference-Header-Content-Length"
# The status and the word of what the protocol or the model does not take.
REFUSED = 422, "invalid-input"
FLAT = [value for step in SERIES for value in step]
ONE = np.array([SERIES], np.float32)
# The outputs of the tiny series model, in its graph's order.
EVERYTHING = ["probabilities", "logits", "attention", "contributions", "bias"]
# struct's letters, and the sizes of the protocol's table.
LETTERS = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip


class Request(NamedTuple):
    """A body and its headers."""

    content: bytes
    headers: dict[str, str]


class Answer(NamedTuple):
    """An answer's JSON, and its tensors, whichever form they came in."""

    document: dict[str, Any]
    tensors: dict[str, NDArray[Any]]


def packed(values: Iterable[Any], datatype: str = "FP32") -> bytes:
    """Elements in binary."""
    return b"".join(struct.pack("<" + LETTERS[datatype], value) for value in values)


def the_input(**changes: Any) -> dict[str, Any]:
    """The input of the model `timeseries`, in JSON; a change to None takes the member away."""
    whole = {"name": "sequence", "shape": [1, 10, 2], "datatype": "FP32", "data": FLAT, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def in_json(head: dict[str, Any]) -> Request:
    """A request that is JSON alone."""
    return Request(json.dumps(head).encode(), {"Content-Type": "application/json"})


def in_binary(head: dict[str, Any], *tensors: bytes) -> Request:
    """A request of JSON and tensors after it; stock clients give no Content-Type."""
    content = json.dumps(head).encode()
    return Request(content + b"".join(tensors), {LENGTH: str(len(content))})


def binary_series(values: NDArray[Any], **head: Any) -> Request:
    """A request with its input, (row, time, feature), in binary."""
    content = packed(values.ravel().tolist())
    given = the_input(shape=list(values.shape), data=None, parameters={"binary_data_size": len(content)})
    return in_binary({"inputs": [given], **head}, content)


def asked(client: Client, request: Request, model: str = "timeseries", **headers: str) -> httpx.Response:
    """The response to a request."""
    return client.post(INFER.format(model), content=request.content, headers={**request.headers, **headers})


def answer_of(response: httpx.Response) -> Answer:
    """What a good answer says."""
    assert response.status_code == 200, response.text
    length = response.headers.get(LENGTH)
    head, rest = (response.content, b"") if length is None else _parted(response.content, int(length))
    assert response.headers["content-type"] == ("application/json" if length is None else "application/octet-stream")
    document = json.loads(head)
    tensors = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        assert ("data" in output) == (size is None)
        if size is None:
            values = output["data"]
        else:
            one, rest = _parted(rest, size)
            letter = LETTERS[output["datatype"]]
            values = [value for (value,) in struct.iter_unpack("<" + letter, one)]
        dtype = np.dtype(LETTERS[output["datatype"]]) if output["datatype"] in LETTERS else np.dtype(object)
        tensors[output["name"]] = np.array(values, dtype).reshape(output["shape"])
    assert rest == b""
    return Answer(document, tensors)


def _parted(content: bytes, length: int) -> tuple[bytes, bytes]:
    assert length <= len(content)
    return content[:length], content[length:]


def by_onnxruntime(model: bytes, values: NDArray[Any], names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """What the graph itself says, without the service."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    wanted = list(names)
    return dict(zip(wanted, session.run(wanted, {session.get_inputs()[0].name: values}), strict=True))


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Name by name, to the last bit."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values, err_msg=name)
