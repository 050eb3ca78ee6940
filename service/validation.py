"""JSON bodies against their schema, and complaints that name the place, what was found and what is expected."""

import math
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from service.problems import InvalidInput, MalformedBody, ServingError

# What rounds to infinity in float32: half a step beyond its largest number, which itself prints as 3.4028235e+38.
FLOAT32_BOUND = 3.4028235677973366e38
LONGEST_ECHO = 40

Number = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-FLOAT32_BOUND, lt=FLOAT32_BOUND)]
# FailFast: a body of a million wrong values is one complaint, not a million.
Row = Annotated[list[Number], FailFast()]
Sequence = Annotated[list[Row], FailFast()]
FlatSequence = Annotated[list[Number], FailFast()]


class StrictBody(BaseModel):
    """What a body has to be, and nothing else in it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SequenceBody(StrictBody):
    """One time series: axes time, feature."""

    sequence: Sequence


class FlatSequenceBody(StrictBody):
    """One time series of one feature, as a flat list."""

    sequence: FlatSequence


class SequencesBody(StrictBody):
    """Several time series."""

    sequences: Annotated[list[Sequence], FailFast()]


class FlatSequencesBody(StrictBody):
    """Several time series of one feature, as flat lists."""

    sequences: Annotated[list[FlatSequence], FailFast()]


class ImageBody(StrictBody):
    """One image file in base64."""

    image: str


class ImagesBody(StrictBody):
    """Several image files in base64."""

    images: Annotated[list[str], FailFast()]


Body = TypeVar("Body", bound=StrictBody)


def validated(body: type[Body], content: bytes) -> Body:
    """The body as its schema has it. Raises MalformedBody where it is not JSON, else InvalidInput."""
    try:
        return body.model_validate_json(content)
    except ValidationError as invalid:
        raise _complaint(body, invalid) from None


def place(location: tuple[int | str, ...]) -> str:
    """As a program would write it: sequence[3][1], inputs[0].name."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part[:LONGEST_ECHO]}" for part in location)
    return "".join(parts).removeprefix(".") or "the body"


def _complaint(body: type[StrictBody], invalid: ValidationError) -> ServingError:
    first = invalid.errors(include_url=False)[0]
    member = next(iter(body.model_fields))
    match first["type"]:
        case "json_invalid" if "number out of range" in first["msg"]:
            return InvalidInput("a number in the body is beyond float32")
        case "json_invalid":
            return MalformedBody(f"the body is not JSON: {first['ctx']['error']}")
        case "model_type":
            return InvalidInput(f"the body is {found(first['input'])}, expected is an object with '{member}'")
        case "missing":
            return InvalidInput(f"the member '{member}' is missing{_instead(invalid)}")
        case "extra_forbidden":
            return InvalidInput(f"unknown member '{place(first['loc'])}', expected is '{member}' alone")
        case _:
            expected = EXPECTED.get(first["type"], "a number that float32 can hold")
            return InvalidInput(f"{place(first['loc'])} is {found(first['input'])}, expected is {expected}")


EXPECTED = {
    "float_type": "a number",
    "list_type": "an array",
    "string_type": "a base64 string",
    "bool_type": "true or false",
    "dict_type": "an object",
}


def _instead(invalid: ValidationError) -> str:
    extra = (one for one in invalid.errors(include_url=False)[1:2] if one["type"] == "extra_forbidden")
    return "".join(f", and '{place(one['loc'])}' is unknown" for one in extra)


def found(value: Any) -> str:
    """A few words for a value, never the value of a long one."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "an infinite number"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**LONGEST_ECHO):
        return str(value)
    kinds = {int: "a number of many digits", str: "a string", list: "an array", dict: "an object"}
    return kinds.get(type(value), "something else")
