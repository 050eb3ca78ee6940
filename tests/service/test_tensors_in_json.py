"""Tensors as JSON arrays, held against NumPy; and what is no such array."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.datatypes import DATATYPES
from service.problems import InvalidInput
from service.tensors_in_json import from_json, to_json

WITH_A_FORM = [name for name, one in DATATYPES.items() if one.dtype is not None and one.json_types]
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=4)


def finite(dtype: Any) -> dict[str, Any]:
    """What hypothesis may draw of a dtype."""
    return {"elements": {"allow_nan": False, "allow_infinity": False}} if dtype.kind == "f" else {}


@settings(deadline=None)
@given(data=st.data(), name=st.sampled_from(WITH_A_FORM), shape=SHAPES, is_flat=st.booleans())
def test_any_tensor_comes_back(data: st.DataObject, name: str, shape: tuple[int, ...], is_flat: bool) -> None:
    """Of any datatype and shape, nested and flat, to the last bit, after a way through text by another library."""
    dtype = DATATYPES[name].dtype
    assert dtype is not None
    values = data.draw(arrays.arrays(dtype, shape, **finite(dtype)))
    sent = json.loads(json.dumps((values.ravel() if is_flat else values).tolist()))

    tensor = from_json(sent, DATATYPES[name], shape, "data")
    back = orjson.loads(orjson.dumps(to_json(tensor, DATATYPES[name], "x"), option=orjson.OPT_SERIALIZE_NUMPY))

    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor, values)
    np.testing.assert_array_equal(np.array(back, dtype).reshape(shape), values)


@pytest.mark.parametrize(
    ("name", "shape", "data", "detail"),
    [
        ("FP32", (2,), None, "data is null, expected is an array"),
        ("FP32", (2,), {"0": 1}, "data is an object, expected is an array"),
        ("FP32", (2,), "12", "data is a string, expected is an array"),
        ("FP32", (2,), [], "data has 0 values, the shape [2] has 2"),
        ("FP32", (2,), [1, 2, 3], "data has 3 values, the shape [2] has 2"),
        ("FP32", (2, 2), [1, 2, 3], "data has 3 values, the shape [2, 2] has 4"),
        ("FP32", (2, 2), [[1, 2]], "data has 1 elements, expected is an array of 2"),
        ("FP32", (2, 2), [[1, 2], [3]], "data[1] has 1 elements, expected is an array of 2"),
        ("FP32", (2, 2), [[1, 2], 3], "data[1] is 3, expected is an array of 2"),
        ("FP32", (2, 2, 1), [[[1], [2]], [[3], 4]], "data[1][1] is 4, expected is an array of 1"),
        ("FP32", (2, 2), [1, [2], 3, 4], "data[1] is an array, expected is a number"),
        ("FP32", (2, 2), [[1, 2], [[3], 4]], "data[1][0] is an array, expected is a number"),
        ("FP32", (2, 2), [[[1], [2]], [[3], [4]]], "data[0][0] is an array, expected is a number"),
        ("FP32", (3,), [1, True, 2.5], "data[1] is true, expected is a number"),
        ("FP32", (3,), [1, 2.5, None], "data[2] is null, expected is a number"),
        ("FP32", (3,), [1, 2.5, "3"], "data[2] is a string, expected is a number"),
        ("FP32", (2, 2), [[1, 2], [1e39, 2]], "data[1][0] is 1e+39, expected is a number that FP32 can hold"),
        ("FP32", (2,), [0, -3.5e38], "data[1] is -3.5e+38"),
        ("FP32", (2,), [10**400, 0], "data[0] is a number of many digits, expected is a number"),
        ("FP32", (2,), [0, float("nan")], "data[1] is NaN, expected is a number"),
        ("FP64", (2,), [0, float("-inf")], "data[1] is an infinite number"),
        ("UINT8", (3,), [0, 255, 256], "data[2] is 256, expected is a whole number from 0 to 255"),
        ("UINT8", (3,), [0, -1, 300], "data[1] is -1, expected is a whole number from 0 to 255"),
        ("UINT8", (2,), [0, 1.5], "data[1] is 1.5, expected is a whole number from 0 to 255"),
        ("UINT8", (2,), [0, True], "data[1] is true, expected is a whole number"),
        ("INT16", (2,), [-32768, -32769], "data[1] is -32769, expected is a whole number from -32768 to 32767"),
        ("UINT64", (2,), [2**64 - 1, 2**64], "expected is a whole number from 0 to 18446744073709551615"),
        ("INT64", (2,), [2**63, 0], "data[0] is 9223372036854775808"),
        ("BOOL", (2,), [True, 1], "data[1] is 1, expected is true or false"),
    ],
)
def test_what_is_no_such_tensor_is_told(name: str, shape: tuple[int, ...], data: Any, detail: str) -> None:
    """With the place, what was found and what is expected."""
    with pytest.raises(InvalidInput) as refused:
        from_json(data, DATATYPES[name], shape, "data")

    assert detail in refused.value.detail


def test_the_first_wrong_value_is_named() -> None:
    """Of several, and wherever it is in a long array."""
    values: list[Any] = [0.5] * 70_000
    values[54_321] = values[60_000] = None

    with pytest.raises(InvalidInput) as refused:
        from_json(values, DATATYPES["FP32"], (35_000, 2), "data")

    assert refused.value.detail.startswith("data[54321] is null")


@pytest.mark.parametrize("value", [3.4028234663852886e38, 3.4028235e38, -3.4028235e38, 1e-45, 10**38, -0.0])
def test_numbers_that_round_into_fp32_are_taken(value: float) -> None:
    """The largest as float32 prints it, and whole numbers."""
    tensor = from_json([value], DATATYPES["FP32"], (1,), "data")

    np.testing.assert_array_equal(tensor, np.array([value], np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["FP32", "FP64"])
def test_what_json_cannot_say_is_refused(name: str, value: float) -> None:
    """Not said as null."""
    with pytest.raises(InvalidInput, match=r"output 'x' is not finite .* ask for it in binary"):
        to_json(np.array([0, value], DATATYPES[name].dtype), DATATYPES[name], "x")


@pytest.mark.parametrize("name", ["FP16", "BF16"])
def test_types_without_a_form_in_json_are_refused(name: str) -> None:
    """As the specification advises."""
    with pytest.raises(InvalidInput, match=f"output 'x' is {name}, which has no form in JSON"):
        to_json(np.zeros(1, np.float16), DATATYPES[name], "x")


def test_strings_are_written() -> None:
    """Flat too."""
    values = np.array([["a", "ü"], ["", '"']], object)

    assert to_json(values, DATATYPES["BYTES"], "x") == ["a", "ü", "", '"']


def test_what_lies_with_gaps_in_memory_is_written() -> None:
    """Every second column, and turned."""
    values = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2].T

    written = orjson.dumps(to_json(values, DATATYPES["FP32"], "x"), option=orjson.OPT_SERIALIZE_NUMPY)

    assert json.loads(written) == [0, 4, 8, 2, 6, 10]
