"""Tensors as bytes, held against struct; and sizes that do not fit."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.datatypes import DATATYPES
from service.problems import InvalidInput
from service.tensors_in_binary import from_binary, to_binary
from tests.service.inference import LETTERS, packed


@settings(deadline=None)
@given(
    data=st.data(),
    name=st.sampled_from(list(LETTERS)),
    shape=arrays.array_shapes(max_dims=4, max_side=4),
    offset=st.integers(0, 9),
)
def test_any_tensor_comes_back(data: st.DataObject, name: str, shape: tuple[int, ...], offset: int) -> None:
    """Of any datatype and shape, to the last bit, wherever it begins."""
    dtype = DATATYPES[name].dtype
    assert dtype is not None
    values = data.draw(arrays.arrays(dtype, shape))
    sent = packed(values.ravel().tolist(), name)

    tensor = from_binary(memoryview(bytes(offset) + sent)[offset:], DATATYPES[name], shape, "x")

    assert (tensor.dtype, tensor.shape, tensor.flags.aligned) == (dtype, shape, True)
    np.testing.assert_array_equal(tensor, values)
    assert b"".join([to_binary(tensor, DATATYPES[name])]) == packed(tensor.ravel().tolist(), name)


def test_nothing_is_copied() -> None:
    """The tensor is the body's own bytes."""
    body = bytearray(packed([1, 2, 3, 4]))

    tensor = from_binary(memoryview(body), DATATYPES["FP32"], (2, 2), "x")
    body[:4] = packed([9])

    assert tensor.tolist() == [[9, 2], [3, 4]]


@pytest.mark.parametrize("size", [0, 1, 15, 17, 32])
def test_other_sizes_are_told(size: int) -> None:
    """With the size that is expected."""
    with pytest.raises(InvalidInput) as refused:
        from_binary(memoryview(bytes(size)), DATATYPES["FP32"], (2, 2), "input 'x'")

    assert refused.value.detail == f"input 'x' has {size} bytes, the shape [2, 2] of FP32 has 16"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_binary_says_what_json_cannot(value: float) -> None:
    """NaN and infinity go both ways."""
    sent = packed([value])

    tensor = from_binary(memoryview(sent), DATATYPES["FP32"], (1,), "x")

    assert bytes(to_binary(tensor, DATATYPES["FP32"])) == sent


def test_strings_follow_their_length() -> None:
    """In UTF-8, each after four bytes."""
    values: Any = np.array([["a", "ü"], ["", b"\xff"]], object)

    written = b"".join([to_binary(values, DATATYPES["BYTES"])])

    parts = [b"a", "ü".encode(), b"", b"\xff"]
    assert written == b"".join(struct.pack("<I", len(part)) + part for part in parts)


def test_what_lies_with_gaps_in_memory_is_written() -> None:
    """Row by row."""
    values = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2].T

    assert b"".join([to_binary(values, DATATYPES["FP32"])]) == packed([0, 4, 8, 2, 6, 10])
