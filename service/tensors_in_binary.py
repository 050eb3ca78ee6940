"""Tensors as the bytes of their elements: little-endian, row-major, without gaps (Triton's binary tensor data)."""

import math
import struct
from typing import Any

import numpy as np

from service.datatypes import Datatype
from service.problems import InvalidInput
from service.session import Tensor


def from_binary(content: memoryview, datatype: Datatype, shape: tuple[int, ...], place: str) -> Tensor:
    """The tensor of these bytes, which is not copied unless it lies askew. Raises InvalidInput."""
    assert datatype.dtype is not None, "inputs of graphs have elements of a fixed size"
    expected = math.prod(shape) * datatype.dtype.itemsize
    if len(content) != expected:
        raise InvalidInput(
            f"{place} has {len(content)} bytes, the shape {list(shape)} of {datatype.name} has {expected}"
        )
    tensor = np.frombuffer(content, datatype.dtype).reshape(shape)
    # What the graph computes with begins where a processor reads such a number at once.
    return tensor if tensor.flags.aligned else tensor.copy()


def to_binary(values: Tensor, datatype: Datatype) -> Any:
    """What `b"".join` takes: the tensor itself; of BYTES each element after its length."""
    if datatype.dtype is not None:
        return np.ascontiguousarray(values, datatype.dtype)
    elements = [one if isinstance(one, bytes) else str(one).encode() for one in values.ravel().tolist()]
    return np.frombuffer(b"".join(struct.pack("<I", len(one)) + one for one in elements), np.uint8)
