"""Payload → inputs of a model. Everything that can be wrong with a request's body is found here."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from python_multipart.multipart import parse_options_header

from service.multipart import file_fields
from service.picture import Canvas, OpenPicture, Picture, open_picture
from service.problems import InvalidInput, MalformedBody, ServingError, UnsupportedMediaType
from service.repository import ServedModel
from service.routing import JSON, Received
from service.threads import Threads
from service.validation import (
    FlatSequenceBody,
    FlatSequencesBody,
    ImageBody,
    ImagesBody,
    SequenceBody,
    SequencesBody,
    validated,
)

# Up to here a body is parsed on the event loop: that takes less than the way to a thread and back.
SHORT_BODY_BYTES = 32 * 1024
LONG_BODY_BYTES = 2**20

FORM = "multipart/form-data"
NESTED = re.compile(rb'\s*\{\s*"(?:sequence"\s*:\s*\[|sequences"\s*:\s*\[\s*\[)\s*\[')

Input = NDArray[np.float32]
Result = TypeVar("Result")
Values = Sequence[Sequence[float]] | Sequence[float]


class Decoder:
    """Bodies of the prediction routes → inputs, within the limits of the settings."""

    def __init__(self, threads: Threads, max_image_pixels: int, max_batch_inputs: int) -> None:
        self._threads = threads
        self._max_pixels = max_image_pixels
        self._max_inputs = max_batch_inputs

    async def sequence(self, received: Received, model: ServedModel) -> list[Input]:
        """The one series of {"sequence": …}: (time, feature)."""
        _check_is_json(received)
        return await self._parse(received, partial(_sequence, received.content, model))

    async def sequences(self, received: Received, model: ServedModel) -> list[Input]:
        """The series of {"sequences": …}: (time, feature) each."""
        _check_is_json(received)
        return await self._parse(received, partial(_sequences, received.content, model, self._max_inputs))

    async def picture(self, received: Received, model: ServedModel) -> list[Picture]:
        """The one picture of the body, be it the file itself, a form or JSON."""
        files = await self._parse(received, partial(_file, received))
        return [await self._picture(received, model, files)]

    async def pictures(self, received: Received, model: ServedModel) -> list[Picture]:
        """The pictures of a form or JSON. One after another: each is small once it is decoded."""
        files = await self._parse(received, partial(_files, received, self._max_inputs))
        return [await self._picture(received, model, file, f"images[{index}]") for index, file in enumerate(files)]

    async def _parse(self, received: Received, parse: Callable[[], Result]) -> Result:
        if len(received.content) <= SHORT_BODY_BYTES:
            with received.timing.measure("decode"):
                return parse()
        return await self._threads.decode(received.timing, parse, large=len(received.content) > LONG_BODY_BYTES)

    async def _picture(
        self, received: Received, model: ServedModel, file: Callable[[], bytes], place: str | None = None
    ) -> Picture:
        canvas = _canvas(model)

        def small() -> Picture | OpenPicture:
            picture = open_picture(file(), self._max_pixels)
            return picture if picture.is_large else picture.decode(canvas)

        try:
            outcome = await self._threads.decode(received.timing, small)
            if isinstance(outcome, OpenPicture):
                return await self._threads.decode(received.timing, partial(outcome.decode, canvas), large=True)
        except ServingError as error:
            raise (error.within(place) if place else error) from error
        return outcome


def _canvas(model: ServedModel) -> Canvas:
    rows, columns, channels = model.session.row_shape
    fit = model.contract.input.fit
    # The contract's check has refused every image graph with another shape.
    assert rows is not None
    assert columns is not None
    assert channels is not None
    assert fit is not None
    return Canvas(rows, columns, channels, fit)


def _media_type(received: Received) -> str:
    name, _ = parse_options_header(received.headers.get("content-type", ""))
    return name.decode("latin-1")


def _check_is_json(received: Received) -> None:
    media_type = _media_type(received)
    if media_type not in ("", JSON):
        raise UnsupportedMediaType(
            f"Content-Type is '{media_type[:80]}', this route takes {JSON}; with curl: --json '…'"
        )


def _sequence(content: bytes, model: ServedModel) -> list[Input]:
    _check_is_sane(content, model, 1)
    place = "sequence"
    if model.session.row_shape[1] == 1 and _is_flat(content):
        return [_input(validated(FlatSequenceBody, content).sequence, model, place)]
    return [_input(validated(SequenceBody, content).sequence, model, place)]


def _sequences(content: bytes, model: ServedModel, most: int) -> list[Input]:
    _check_is_sane(content, model, most)
    is_flat = model.session.row_shape[1] == 1 and _is_flat(content)
    sequences: Sequence[Values] = (
        validated(FlatSequencesBody, content).sequences if is_flat else validated(SequencesBody, content).sequences
    )
    _check_count(len(sequences), most, "sequences")
    return [_input(values, model, f"sequences[{index}]") for index, values in enumerate(sequences)]


def _is_flat(content: bytes) -> bool:
    # A series of one feature may be flat or nested: told apart by the first brackets, so that a complaint speaks of
    # one form and not of both.
    return NESTED.match(content) is None


def _check_is_sane(content: bytes, model: ServedModel, inputs: int) -> None:
    """Refuse long bodies that cannot be right before they are parsed: parsed, they take fifty times their length."""
    if len(content) <= SHORT_BODY_BYTES:
        return
    if content.count(b'"') > 64:
        raise InvalidInput("the body has strings or unknown members in it, expected are numbers alone")
    steps, features = model.session.row_shape
    if steps is not None and content.count(b",") > 2 * inputs * steps * (features or 1) + SHORT_BODY_BYTES:
        raise InvalidInput(f"the body has far more values than {inputs} × {steps} × {features}")


def _input(values: Values, model: ServedModel, place: str) -> Input:
    steps, features = model.session.row_shape
    if not values or (steps is not None and len(values) != steps):
        taken = "at least 1" if steps is None else steps
        raise InvalidInput(f"{place} has {len(values)} time steps, model '{model.name}' takes {taken}")
    for step, row in enumerate(values):
        if isinstance(row, list) and len(row) != features:
            raise InvalidInput(f"{place}[{step}] has {len(row)} values, model '{model.name}' takes {features} features")
    return np.array(values, np.float32).reshape(len(values), features or 1)


def _check_count(count: int, most: int, place: str) -> None:
    if not 1 <= count <= most:
        raise InvalidInput(f"{place} has {count} inputs, 1 to {most} are taken")


def _file(received: Received) -> Callable[[], bytes]:
    media_type = _media_type(received)
    if media_type == FORM:
        files = _form_files(received, 16)
        if len(files) != 1:
            raise InvalidInput(f"the form has {len(files)} files, expected is one; /predict/image/batch takes several")
        return partial(bytes, files[0])
    if media_type == JSON or (not media_type and _looks_like_json(received.content)):
        return partial(_from_base64, validated(ImageBody, received.content).image)
    if not media_type or media_type.startswith("image/"):
        return partial(bytes, received.content)
    raise UnsupportedMediaType(
        f"Content-Type is '{media_type[:80]}', this route takes image/*, {FORM} or {JSON}; "
        "with curl: -F image=@file, or --data-binary @file -H 'Content-Type: image/png'"
    )


def _files(received: Received, most: int) -> list[Callable[[], bytes]]:
    media_type = _media_type(received)
    if media_type == FORM:
        files = _form_files(received, most)
        _check_count(len(files), most, "the form")
        return [partial(bytes, file) for file in files]
    if media_type == JSON or (not media_type and _looks_like_json(received.content)):
        if received.content.count(b'"') > 2 * most + SHORT_BODY_BYTES:
            raise InvalidInput(f"images has more than {most} inputs, 1 to {most} are taken")
        texts = validated(ImagesBody, received.content).images
        _check_count(len(texts), most, "images")
        return [partial(_from_base64, text) for text in texts]
    raise UnsupportedMediaType(f"Content-Type is '{media_type[:80]}', this route takes {FORM} or {JSON}")


def _form_files(received: Received, most: int) -> list[bytes]:
    return file_fields(received.content, received.headers["content-type"], most)


def _looks_like_json(content: bytes) -> bool:
    return content[:256].lstrip()[:1] == b"{"


def _from_base64(text: str) -> bytes:
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise MalformedBody("the image is a data: URL that is not in base64")
    try:
        # Line breaks are what base64 and Python's own encoder write.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedBody("the image is not valid base64") from error
