"""The body of an inference request: its JSON, held against the protocol's schema, and the binary data after it."""

from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator

from service.problems import InvalidInput, MalformedBody, ServingError
from service.validation import found, place

# The length of the JSON in front of binary data. Nothing else of the head says that there is such data.
LENGTH_HEADER = b"inference-header-content-length"
# A number of more digits is longer than any body.
MOST_DIGITS = 18
LARGEST_SIZE = 2**63 - 1

Size = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Parameters(BaseModel):
    # They are open: what is not known here is ignored.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        """Null is as good as absent."""
        return {name: one for name, one in given.items() if one is not None} if isinstance(given, dict) else given


class InputParameters(_Parameters):
    """What is known of an input's parameters."""

    binary_data_size: Size | None = None
    shared_memory_region: Any = None


class OutputParameters(_Parameters):
    """What is known of an output's parameters."""

    binary_data: bool | None = None
    classification: Any = None
    shared_memory_region: Any = None


class RequestParameters(_Parameters):
    """What is known of a request's parameters. `timeout`: microseconds, 0 is none."""

    timeout: Size = 0
    attention: bool = True
    binary_data_output: bool = False


class RequestInput(_Part):
    """An input. Its data is here, or in binary after the JSON."""

    name: str
    shape: Annotated[list[Size], FailFast()]
    datatype: str
    parameters: InputParameters | None = None
    data: Any = None


class RequestOutput(_Part):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters | None = None


class InferenceRequest(_Part):
    """The JSON of a request. The model's name and version are the path's; stock clients say the name here too."""

    id: str | None = None
    model_name: str | None = None
    model_version: str | None = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[RequestInput], FailFast()]
    outputs: list[RequestOutput] | None = None


class Parts(NamedTuple):
    """A body: the bytes of its JSON, none in a raw binary request, and those after it, None where all of it is JSON."""

    head: bytes
    binary: memoryview | None


def parts_of(content: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Parts:
    """The two parts of a body. Raises InvalidInput."""
    lengths = {value for name, value in headers if name == LENGTH_HEADER}
    if not lengths:
        return Parts(content, None)
    length = lengths.pop()
    if lengths or not length.isdigit():
        raise InvalidInput("Inference-Header-Content-Length is not one whole number")
    if len(length) > MOST_DIGITS or int(length) > len(content):
        told = length[:MOST_DIGITS].decode() + "…" * (len(length) > MOST_DIGITS)
        raise InvalidInput(f"Inference-Header-Content-Length is {told}, the body has {len(content)} bytes")
    return Parts(content[: int(length)], memoryview(content)[int(length) :])


def parsed(head: bytes) -> InferenceRequest:
    """The JSON as its schema has it. Raises MalformedBody where it is not JSON, else InvalidInput."""
    try:
        return _validated(head)
    except ValidationError as invalid:
        raise _complaint(invalid) from None


def _validated(head: bytes) -> InferenceRequest:
    try:
        document = orjson.loads(head)
    except orjson.JSONDecodeError:
        # Pydantic's own reader takes twice as long, says better what is wrong, and takes NaN, which is told later.
        return InferenceRequest.model_validate_json(head)
    return InferenceRequest.model_validate(document)


def _complaint(invalid: ValidationError) -> ServingError:
    first = invalid.errors(include_url=False)[0]
    where = place(first["loc"])
    match first["type"]:
        case "json_invalid" if "number out of range" in first["msg"]:
            return InvalidInput("a number in the request has more digits than any datatype can hold")
        case "json_invalid":
            return MalformedBody(f"the request is not JSON: {first['ctx']['error']}")
        case "missing":
            return InvalidInput(f"the member '{where}' is missing")
        case "extra_forbidden":
            known = ", ".join(_members(first["loc"]))
            return InvalidInput(f"unknown member '{where}', expected are {known}; parameters may have others")
        case _:
            expected = EXPECTED.get(first["type"], f"a whole number from 0 to {LARGEST_SIZE}")
            return InvalidInput(f"{where} is {found(first['input'])}, expected is {expected}")


EXPECTED = {
    "model_type": "an object",
    "list_type": "an array",
    "string_type": "a string",
    "bool_type": "true or false",
}
PARTS: dict[str, type[_Part]] = {"inputs": RequestInput, "outputs": RequestOutput}


def _members(location: tuple[int | str, ...]) -> list[str]:
    return list((InferenceRequest if len(location) == 1 else PARTS[str(location[0])]).model_fields)
