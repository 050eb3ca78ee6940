"""Payload → inputs of a model. Everything that can be wrong with a request's body is found here."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from python_multipart.multipart import parse_options_header

from service.multipart import file_fields
from service.picture import LARGE_PIXELS, Canvas, OpenPicture, Picture, open_picture, thumbnail
from service.picture_cost import is_quick
from service.problems import InvalidInput, MalformedBody, ServingError, UnsupportedMediaType
from service.request_body import LONG_BODY_BYTES
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
from service.versions import ServedModel

# Up to here a body is parsed on the event loop: that takes less than the way to a thread and back.
SHORT_BODY_BYTES = 32 * 1024
# A form for one picture is read this far, so that the complaint about several can say how many.
MOST_FIELDS_COUNTED = 16
# A body of numbers has the two quotes of its one member; some more are read, so that the complaint names the member.
MOST_QUOTES_OF_NUMBERS = 64
# A series that is up to this many times too long is read, so that the complaint says by how much.
TOLERATED_EXCESS = 2

FORM = "multipart/form-data"
NESTED = re.compile(rb'\s*\{\s*"(?:sequence"\s*:\s*\[|sequences"\s*:\s*\[\s*\[)\s*\[')

Input = NDArray[np.float32]
File = bytes | str  # as it is, or in base64, which is decoded where the picture is
Result = TypeVar("Result")
Values = Sequence[Sequence[float]] | Sequence[float]


@dataclass(frozen=True)
class Limits:
    """The settings that bound a request's inputs. `time_steps`: of one call, all its series together."""

    image_pixels: int
    batch_inputs: int
    time_steps: int


class Decoder:
    """Bodies of the prediction routes → inputs, within the limits of the settings."""

    def __init__(self, threads: Threads, limits: Limits) -> None:
        self._threads = threads
        self._limits = limits

    async def sequence(self, received: Received, model: ServedModel) -> list[Input]:
        """The one series of {"sequence": …}: (time, feature)."""
        _check_is_json(received)
        return await self._parse(received, partial(_sequence, received.content, model, self._limits))

    async def sequences(self, received: Received, model: ServedModel) -> list[Input]:
        """The series of {"sequences": …}: (time, feature) each."""
        _check_is_json(received)
        return await self._parse(received, partial(_sequences, received.content, model, self._limits))

    async def picture(self, received: Received, model: ServedModel) -> list[Picture]:
        """The one picture of the body, be it the file itself, a form or JSON."""
        file = await self._parse(received, partial(_file, received))
        return [await self._picture(received, model, file)]

    async def pictures(self, received: Received, model: ServedModel) -> list[Picture]:
        """The pictures of a form or JSON. One after another: each is small once it is decoded."""
        files = await self._parse(received, partial(_files, received, self._limits.batch_inputs))
        return [await self._picture(received, model, file, f"images[{index}]") for index, file in enumerate(files)]

    async def thumbnail(self, received: Received, picture: Picture, most: int) -> bytes:
        """The one picture of the body again, as a PNG of at most `most` pixels a side. `picture`: what came of it."""
        file = await self._parse(received, partial(_file, received))

        def decode() -> bytes:
            content = file if isinstance(file, bytes) else _from_base64(file)
            return thumbnail(open_picture(content, self._limits.image_pixels), picture, most)

        is_large = len(file) > LONG_BODY_BYTES or picture.width * picture.height > LARGE_PIXELS
        return await self._threads.decode(received.timing, decode, large=is_large)

    async def _parse(self, received: Received, parse: Callable[[], Result]) -> Result:
        if len(received.content) <= SHORT_BODY_BYTES:
            return received.timing.decoding(parse)
        return await self._threads.decode(received.timing, parse, large=len(received.content) > LONG_BODY_BYTES)

    async def _picture(self, received: Received, model: ServedModel, file: File, place: str | None = None) -> Picture:
        canvas = _canvas(model)

        def small() -> Picture | OpenPicture:
            content = file if isinstance(file, bytes) else _from_base64(file)
            picture = open_picture(content, self._limits.image_pixels)
            return picture if picture.is_large else picture.decode(canvas)

        try:
            if len(file) <= SHORT_BODY_BYTES and isinstance(file, str):
                file = _from_base64(file)
            if isinstance(file, bytes) and is_quick(file):
                outcome = received.timing.decoding(small)
            else:
                outcome = await self._threads.decode(received.timing, small, large=len(file) > LONG_BODY_BYTES)
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


def media_type_of(received: Received) -> str:
    """The Content-Type without its parameters, empty where there is none."""
    content_type = received.head.content_type
    if content_type == JSON:
        return JSON
    name, _ = parse_options_header(content_type)
    return name.decode("latin-1")


def _check_is_json(received: Received) -> None:
    media_type = media_type_of(received)
    if media_type not in ("", JSON):
        raise UnsupportedMediaType(
            f"Content-Type is '{media_type[:80]}', this route takes {JSON}; with curl: --json '…'"
        )


def _sequence(content: bytes, model: ServedModel, limits: Limits) -> list[Input]:
    most_steps = most_steps_of(model, 1, limits.time_steps)
    if len(content) > SHORT_BODY_BYTES:
        _check_is_sane(content, model, most_steps)
    sequence: Values = (
        validated(FlatSequenceBody, content).sequence
        if _is_flat(content, model)
        else validated(SequenceBody, content).sequence
    )
    result = _input(sequence, model, "sequence")
    _check_steps(len(result), most_steps)
    return [result]


def _sequences(content: bytes, model: ServedModel, limits: Limits) -> list[Input]:
    most_steps = most_steps_of(model, limits.batch_inputs, limits.time_steps)
    if len(content) > SHORT_BODY_BYTES:
        _check_is_sane(content, model, most_steps)
    sequences: Sequence[Values] = (
        validated(FlatSequencesBody, content).sequences
        if _is_flat(content, model)
        else validated(SequencesBody, content).sequences
    )
    _check_count(len(sequences), limits.batch_inputs, "sequences")
    _check_steps(sum(map(len, sequences)), most_steps)
    return [_input(values, model, f"sequences[{index}]") for index, values in enumerate(sequences)]


def _is_flat(content: bytes, model: ServedModel) -> bool:
    # A series of one feature may be flat or nested: told apart by the first brackets, so that a complaint speaks of
    # one form and not of both.
    return _features(model) == 1 and NESTED.match(content) is None


def _features(model: ServedModel) -> int:
    features = model.session.row_shape[1]
    # The contract's check has refused every time-series graph that leaves it open.
    assert features is not None
    return features


def most_steps_of(model: ServedModel, inputs: int, limit: int) -> int:
    """The time steps that one call may have in all. One series of the model's own length is never too long."""
    steps = model.session.row_shape[0]
    return limit if steps is None else max(steps, min(inputs * steps, limit))


def _check_is_sane(content: bytes, model: ServedModel, most_steps: int) -> None:
    """Refuse long bodies that cannot be right before they are parsed: parsed, they take fifty times their length.
    Commas part both values and lists, so they bound what a parser makes of the body.
    """
    if content.count(b'"') > MOST_QUOTES_OF_NUMBERS:
        raise InvalidInput("the body has strings or unknown members in it, expected are numbers alone")
    features = _features(model)
    if content.count(b",") > TOLERATED_EXCESS * most_steps * features + SHORT_BODY_BYTES:
        raise InvalidInput(f"the body has far more values than {most_steps} time steps of {features} features")


def _check_steps(steps: int, most: int) -> None:
    if steps > most:
        raise InvalidInput(f"the call has {steps} time steps, at most {most} are taken")


def _input(values: Values, model: ServedModel, place: str) -> Input:
    steps, features = model.session.row_shape[0], _features(model)
    if not values or (steps is not None and len(values) != steps):
        taken = "at least 1" if steps is None else steps
        raise InvalidInput(f"{place} has {len(values)} time steps, model '{model.name}' takes {taken}")
    shape = (len(values), features)
    try:
        result = np.array(values, np.float32)
    except ValueError:  # rows of several lengths
        result = None
    if result is None or (result.shape != shape and isinstance(values[0], list)):
        rows: list[Any] = list(values)
        step, row = next((step, row) for step, row in enumerate(rows) if len(row) != features)
        raise InvalidInput(f"{place}[{step}] has {len(row)} values, model '{model.name}' takes {features} features")
    return result.reshape(shape)


def _check_count(count: int, most: int, place: str) -> None:
    if not 1 <= count <= most:
        raise InvalidInput(f"{place} has {count} inputs, 1 to {most} are taken")


def _file(received: Received) -> File:
    media_type = media_type_of(received)
    if media_type == FORM:
        files = _form_files(received, MOST_FIELDS_COUNTED)
        if len(files) != 1:
            raise InvalidInput(f"the form has {len(files)} files, expected is one; /predict/image/batch takes several")
        return files[0]
    if media_type == JSON or (not media_type and _looks_like_json(received.content)):
        _check_is_of_pictures(received.content, 1)
        return validated(ImageBody, received.content).image
    if not media_type or media_type.startswith("image/"):
        return received.content
    raise UnsupportedMediaType(
        f"Content-Type is '{media_type[:80]}', this route takes image/*, {FORM} or {JSON}; "
        "with curl: -F image=@file, or --data-binary @file -H 'Content-Type: image/png'"
    )


def _files(received: Received, most: int) -> list[File]:
    media_type = media_type_of(received)
    if media_type == FORM:
        files = _form_files(received, most)
        _check_count(len(files), most, "the form")
        return list(files)
    if media_type in ("", JSON):
        _check_is_of_pictures(received.content, most)
        texts = validated(ImagesBody, received.content).images
        _check_count(len(texts), most, "images")
        return list(texts)
    raise UnsupportedMediaType(f"Content-Type is '{media_type[:80]}', this route takes {FORM} or {JSON}")


def _check_is_of_pictures(content: bytes, most: int) -> None:
    # As _check_is_sane. Base64 has no commas: each picture has the one after it, and the one of a data: prefix.
    if len(content) > SHORT_BODY_BYTES and content.count(b",") > TOLERATED_EXCESS * 2 * most + SHORT_BODY_BYTES:
        raise InvalidInput(f"the body has far more values than the pictures that are taken, which are {most}")


def _form_files(received: Received, most: int) -> list[bytes]:
    return file_fields(received.content, received.head.content_type, most)


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
