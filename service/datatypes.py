"""The Open Inference Protocol's datatypes: what a graph calls them, and their form in binary and in JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.contract import TensorSpec

NUMBERS = frozenset({int, float})
NOTHING: frozenset[type] = frozenset()


@dataclass(frozen=True)
class Datatype:
    """`dtype`: of an element in binary, little-endian; None where elements have no fixed size, or NumPy no such type.
    `json_types`: what elements are in JSON, as Python reads it; empty where they have no form there. `expected`: the
    same in words.
    """

    name: str
    dtype: np.dtype[Any] | None
    json_types: frozenset[type] = NOTHING
    expected: str = ""


def _integers(name: str, code: str) -> Datatype:
    dtype = np.dtype(code)
    bounds = np.iinfo(dtype)
    return Datatype(name, dtype, frozenset({int}), f"a whole number from {bounds.min} to {bounds.max}")


def _numbers(name: str, code: str) -> Datatype:
    return Datatype(name, np.dtype(code), NUMBERS, f"a number that {name} can hold")


DATATYPES = {
    one.name: one
    for one in (
        Datatype("BOOL", np.dtype("?"), frozenset({bool}), "true or false"),
        _integers("UINT8", "<u1"),
        _integers("UINT16", "<u2"),
        _integers("UINT32", "<u4"),
        _integers("UINT64", "<u8"),
        _integers("INT8", "<i1"),
        _integers("INT16", "<i2"),
        _integers("INT32", "<i4"),
        _integers("INT64", "<i8"),
        # JSON has one kind of number, and no two programs agree on how it becomes 16 bits.
        Datatype("FP16", np.dtype("<f2")),
        _numbers("FP32", "<f4"),
        _numbers("FP64", "<f8"),
        Datatype("BYTES", None, frozenset({str}), "a string"),
        Datatype("BF16", None),
    )
}
# ONNX's names, and NumPy's where they differ.
NAMES_IN_GRAPHS = {
    "float": "FP32",
    "float32": "FP32",
    "double": "FP64",
    "float64": "FP64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "string": "BYTES",
    **{name.lower(): name for name in DATATYPES if name == "BOOL" or "INT" in name},
}


def datatype_of(spec: TensorSpec) -> Datatype | None:
    """The datatype of a graph's input or output; None for what the protocol has no name for, as sequences and maps."""
    name = NAMES_IN_GRAPHS.get(spec.dtype.removeprefix("tensor(").removesuffix(")"))
    return None if name is None else DATATYPES[name]
