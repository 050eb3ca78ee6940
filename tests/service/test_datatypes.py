"""The protocol's datatypes: complete, of the right size, and known by the graph's names."""

import struct

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from models.contract import TensorSpec
from service.datatypes import DATATYPES, datatype_of
from tests.service.inference import LETTERS

# The specification's table, in bytes; and what Triton has besides.
SIZES = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
    "FP16": 2, "FP32": 4, "FP64": 8,
}  # fmt: skip
ONNX = {
    "BOOL": TensorProto.BOOL, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16, "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64, "FP16": TensorProto.FLOAT16, "FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING, "BF16": TensorProto.BFLOAT16,
}  # fmt: skip


def test_all_of_the_specification_are_known() -> None:
    """With their sizes; BYTES and BF16 have no fixed one here."""
    known = {name: one.dtype and one.dtype.itemsize for name, one in DATATYPES.items()}

    assert known == {**SIZES, "BYTES": None, "BF16": None}


@pytest.mark.parametrize("name", LETTERS)
def test_elements_are_little_endian(name: str) -> None:
    """As struct writes them."""
    dtype = DATATYPES[name].dtype
    assert dtype is not None

    assert np.array([1], dtype).tobytes() == struct.pack("<" + LETTERS[name], 1)


@pytest.mark.parametrize("name", ONNX)
def test_graphs_call_them_as_onnxruntime_says(name: str) -> None:
    """What it says of a real graph's input is found."""
    given, taken = (helper.make_tensor_value_info(one, ONNX[name], ["batch"]) for one in ("in", "out"))
    graph = helper.make_graph([helper.make_node("Identity", ["in"], ["out"])], "tiny", [given], [taken])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = onnxruntime.InferenceSession(model.SerializeToString()).get_inputs()[0]

    datatype = datatype_of(TensorSpec.of(said.type, said.shape))

    assert datatype is not None
    assert datatype.name == name


@pytest.mark.parametrize("kind", ["seq(tensor(float))", "map(int64,tensor(float))", "tensor(complex64)", ""])
def test_what_the_protocol_has_no_name_for_is_told(kind: str) -> None:
    """As no datatype."""
    assert datatype_of(TensorSpec.of(kind, ["batch"])) is None
