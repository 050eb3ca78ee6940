"""Tensors as JSON arrays: nested as their shape says, or flat, in row-major order."""

import math
from itertools import chain
from typing import Any

import numpy as np

from service.datatypes import Datatype
from service.problems import InvalidInput
from service.session import Tensor
from service.validation import found

Shape = tuple[int, ...]


def from_json(data: Any, datatype: Datatype, shape: Shape, place: str) -> Tensor:
    """The tensor of an array as Python reads it. No element is looked at one by one, unless to say which is wrong.

    Raises InvalidInput, which names the element by its `place`.
    """
    if type(data) is not list:
        raise InvalidInput(f"{place} is {found(data)}, expected is an array")
    is_nested = len(shape) > 1 and bool(data) and type(data[0]) is list
    values = _row_major(data, shape, place) if is_nested else data
    if len(values) != math.prod(shape):
        raise InvalidInput(f"{place} has {len(values)} values, the shape {list(shape)} has {math.prod(shape)}")
    tensor = _converted(values, datatype)
    if tensor is None:
        index = _first_wrong(values, datatype)
        indices = np.unravel_index(index, shape) if is_nested else (index,)
        raise InvalidInput(f"{_at(place, indices)} is {found(values[index])}, expected is {datatype.expected}")
    return tensor.reshape(shape)


def to_json(values: Tensor, datatype: Datatype, name: str) -> Any:
    """What orjson writes as a flat array. Raises InvalidInput where JSON cannot say it."""
    if not datatype.json_types:
        raise InvalidInput(f"output '{name}' is {datatype.name}, which has no form in JSON; ask for it in binary")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InvalidInput(
            f"output '{name}' is not finite for this input, and JSON has no NaN and no infinity; ask for it in binary"
        )
    return values.ravel().tolist() if values.dtype.kind == "O" else np.ascontiguousarray(values).reshape(-1)


def _row_major(data: list[Any], shape: Shape, place: str) -> list[Any]:
    level: list[Any] = [data]
    for axis, size in enumerate(shape):
        if set(map(type, level)) != {list} or set(map(len, level)) != {size}:
            index = next(index for index, one in enumerate(level) if type(one) is not list or len(one) != size)
            wrong, indices = level[index], np.unravel_index(index, shape[:axis]) if axis else ()
            seen = f"has {len(wrong)} elements" if type(wrong) is list else f"is {found(wrong)}"
            raise InvalidInput(f"{_at(place, indices)} {seen}, expected is an array of {size}")
        level = list(chain.from_iterable(level))
    return level


def _converted(values: list[Any], datatype: Datatype) -> Tensor | None:
    """A flat array; None where an element is not one of the datatype."""
    if not set(map(type, values)) <= datatype.json_types:
        return None
    try:
        with np.errstate(over="ignore"):
            tensor = np.array(values, datatype.dtype)
    except OverflowError:
        return None
    return tensor if tensor.dtype.kind != "f" or np.isfinite(tensor).all() else None


def _first_wrong(values: list[Any], datatype: Datatype) -> int:
    """By halves: as fast as all of them are converted."""
    first, end = 0, len(values)
    while end - first > 1:
        middle = (first + end) // 2
        if _converted(values[first:middle], datatype) is None:
            end = middle
        else:
            first = middle
    return first


def _at(place: str, indices: Any) -> str:
    return place + "".join(f"[{index}]" for index in indices)
