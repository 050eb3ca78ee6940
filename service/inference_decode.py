"""The body of an inference request → what is asked of a model. Everything that can be wrong with it is found here."""

import math
from functools import partial

import numpy as np

from models.contract import TensorSpec
from service.datatypes import DATATYPES, Datatype, datatype_of
from service.decode import Limits, media_type_of
from service.inference_outputs import Inference, asked_outputs, raw_outputs
from service.inference_request import (
    InferenceRequest,
    InputParameters,
    Parts,
    RequestInput,
    RequestParameters,
    parsed,
    parts_of,
)
from service.problems import InvalidInput, UnsupportedMediaType
from service.request_body import LONG_BODY_BYTES
from service.routing import JSON, OCTET_STREAM, Received
from service.sequences import SHORT_BODY_BYTES, TOLERATED_EXCESS
from service.session import Tensor
from service.tensors_in_binary import from_binary
from service.tensors_in_json import from_json
from service.threads import Threads
from service.together import Together
from service.validation import found
from service.versions import ServedModel

# Of strings, in a long JSON: more than any request needs, and few to make.
MOST_QUOTES = 4096
DATA_PLACE = "inputs[0].data"


class InferenceDecoder:
    """Bodies of inference requests → inferences, within the limits of the settings."""

    def __init__(self, threads: Threads, together: Together, limits: Limits) -> None:
        self._threads = threads
        self._together = together
        self._limits = limits

    async def inference(self, received: Received, model: ServedModel) -> Inference:
        """What the body asks of the model. Raises MalformedBody, InvalidInput or UnsupportedMediaType."""
        media_type = media_type_of(received.head)
        if media_type not in ("", JSON, OCTET_STREAM):
            raise UnsupportedMediaType(
                f"Content-Type is '{media_type[:80]}', this route takes {JSON} or {OCTET_STREAM}; with curl: --json '…'"
            )
        parts = parts_of(received.content, received.head.headers)
        decode = partial(_inference, parts, model, self._limits)
        if len(parts.head) <= SHORT_BODY_BYTES:
            return await self._together.decode(received.exchange, decode)
        return await self._threads.decode(received.exchange, decode, large=len(parts.head) > LONG_BODY_BYTES)


def _inference(parts: Parts, model: ServedModel, limits: Limits) -> Inference:
    if not parts.head and parts.binary is not None:
        return Inference(_raw_rows(parts.binary, model, limits), raw_outputs(model))
    _check_is_sane(parts.head, model, limits)
    request = parsed(parts.head)
    _check_is_for(request, model)
    parameters = request.parameters or RequestParameters()
    outputs = asked_outputs(request, parameters, model)
    rows = _rows(_only_input(request, model), parts.binary, model, limits)
    return Inference(rows, outputs, request.id, parameters.timeout / 1e6 or None)


def _check_is_sane(head: bytes, model: ServedModel, limits: Limits) -> None:
    """Refuse a long JSON that cannot be right before it is parsed. Commas part values and lists, quotes strings: they
    bound what a parser makes of it, which is many times its length.
    """
    if len(head) <= SHORT_BODY_BYTES:
        return
    if head.count(b'"') > MOST_QUOTES:
        raise InvalidInput(f"the request has more than {MOST_QUOTES // 2} strings in it, expected are numbers")
    most = _most_values(model, limits)
    if head.count(b",") > TOLERATED_EXCESS * most + SHORT_BODY_BYTES:
        raise InvalidInput(f"the request has far more values than the {most} that model '{model.name}' takes at once")


def _check_is_for(request: InferenceRequest, model: ServedModel) -> None:
    for member, said, meant in (
        ("model_name", request.model_name, model.name),
        ("model_version", request.model_version, model.version),
    ):
        if said not in (None, "", meant):
            raise InvalidInput(f"{member} is '{said[:40]}', and the path asks for '{meant}'")


def _only_input(request: InferenceRequest, model: ServedModel) -> RequestInput:
    """The request's input; every graph has one."""
    expected = model.contract.input.name
    unknown = next((one.name for one in request.inputs if one.name != expected), None)
    if unknown is not None:
        raise InvalidInput(f"model '{model.name}' has no input '{unknown[:40]}', its one input is '{expected}'")
    if len(request.inputs) != 1:
        how_often = "missing" if not request.inputs else "given more than once"
        raise InvalidInput(f"the input '{expected}' of model '{model.name}' is {how_often}")
    return request.inputs[0]


def _rows(given: RequestInput, binary: memoryview | None, model: ServedModel, limits: Limits) -> Tensor:
    spec = model.session.inputs[given.name]
    said = given.parameters or InputParameters()
    if said.shared_memory_region is not None:
        raise InvalidInput(f"input '{given.name}' is in shared memory, which is not supported here")
    _check_data_is_one(given, said.binary_data_size, binary)
    datatype = _checked_datatype(given, spec, model)
    shape = tuple(given.shape)
    _check_shape(given.name, shape, model, limits)
    if said.binary_data_size is None:
        return from_json(given.data, datatype, shape, DATA_PLACE)
    assert binary is not None, "it was checked that there is some"
    return _from_binary(binary, datatype, shape, given.name)


def _check_data_is_one(given: RequestInput, size: int | None, binary: memoryview | None) -> None:
    """Either in the JSON or after it, and then all of what is there."""
    there_are = len(binary or b"")
    if size is None:
        if given.data is None:
            raise InvalidInput(f"input '{given.name}' has neither data nor the parameter binary_data_size")
        if there_are:
            raise InvalidInput(f"{there_are} bytes follow the JSON, and input '{given.name}' has no binary_data_size")
    elif given.data is not None:
        raise InvalidInput(f"input '{given.name}' has both data and the parameter binary_data_size, expected is one")
    elif binary is None:
        raise InvalidInput(
            f"input '{given.name}' is in binary, and the header Inference-Header-Content-Length is missing"
        )
    elif size != there_are:
        raise InvalidInput(f"binary_data_size of input '{given.name}' is {size}, {there_are} bytes follow the JSON")


def _checked_datatype(given: RequestInput, spec: TensorSpec, model: ServedModel) -> Datatype:
    expected = _datatype_of(spec)
    if given.datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise InvalidInput(f"input '{given.name}' has the datatype '{given.datatype[:40]}', known are {known}")
    if given.data is not None and not DATATYPES[given.datatype].json_types:
        raise InvalidInput(
            f"input '{given.name}' is {given.datatype}, which has no form in JSON; "
            f"model '{model.name}' takes {expected.name}"
        )
    if given.datatype != expected.name:
        raise InvalidInput(f"input '{given.name}' is {given.datatype}, model '{model.name}' takes {expected.name}")
    return expected


def _check_shape(name: str, shape: tuple[int, ...], model: ServedModel, limits: Limits) -> None:
    taken = model.session.inputs[name].shape
    fits = len(shape) == len(taken) and all(one in (None, size) for size, one in zip(shape, taken, strict=True))
    if not fits or 0 in shape[1:]:
        seen = f"{list(shape[:8])}" if len(shape) <= 8 else f"{len(shape)} dimensions"
        wanted = [-1 if size is None else size for size in taken]
        raise InvalidInput(f"input '{name}' has the shape {seen}, model '{model.name}' takes {wanted}")
    rows = shape[0]
    if not 1 <= rows <= limits.batch_inputs:
        raise InvalidInput(f"input '{name}' has {rows} rows, 1 to {limits.batch_inputs} are taken")
    if _has_time(model):
        steps, most = rows * shape[1], model.sequences.most_steps(limits.batch_inputs, limits.time_steps)
        if steps > most:
            raise InvalidInput(f"the request has {steps} time steps, at most {most} are taken")


def _raw_rows(content: memoryview, model: ServedModel, limits: Limits) -> Tensor:
    """The one row of a raw binary request; where a dimension is the caller's, it follows from the length."""
    name = model.contract.input.name
    spec = model.session.inputs[name]
    datatype, row = _datatype_of(spec), spec.shape[1:]
    if row.count(None) > 1:
        raise InvalidInput(f"input '{name}' has more than one open dimension, its shape cannot be told from its bytes")
    assert datatype.dtype is not None, "inputs of graphs have elements of a fixed size"
    size, rest = divmod(len(content), datatype.dtype.itemsize * math.prod(one for one in row if one is not None))
    if rest or not size:
        raise InvalidInput(
            f"the body has {len(content)} bytes, which is no row of input '{name}', {datatype.name} of the shape "
            f"{[-1 if one is None else one for one in row]}"
        )
    shape = (1, *(size if one is None else one for one in row))
    _check_shape(name, shape, model, limits)
    return _from_binary(content, datatype, shape, name)


def _from_binary(content: memoryview, datatype: Datatype, shape: tuple[int, ...], name: str) -> Tensor:
    rows = from_binary(content, datatype, shape, f"input '{name}'")
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        index = np.unravel_index(np.argmin(np.isfinite(rows)), shape)
        place = "".join(f"[{one}]" for one in index)
        raise InvalidInput(f"{place} of input '{name}' is {found(float(rows[index]))}, expected is {datatype.expected}")
    return rows


def _most_values(model: ServedModel, limits: Limits) -> int:
    """The numbers in all rows that one request may have."""
    row = model.session.row_shape
    if _has_time(model):
        fixed = [one for one in row[1:] if one is not None]
        return model.sequences.most_steps(limits.batch_inputs, limits.time_steps) * math.prod(fixed)
    return limits.batch_inputs * math.prod(one or 1 for one in row)


def _has_time(model: ServedModel) -> bool:
    return model.contract.input.axes[1] == "time"


def _datatype_of(spec: TensorSpec) -> Datatype:
    datatype = datatype_of(spec)
    assert datatype is not None, "the contract's check has refused every other input"
    return datatype
