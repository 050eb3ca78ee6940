"""Payload → inputs of a model. Everything that can be wrong with a request's body is found here."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from python_multipart.multipart import parse_options_header

from service.multipart import file_fields
from service.picture import LARGE_PIXELS, Canvas, OpenPicture, Picture, open_picture, thumbnail
from service.picture_cost import is_quick
from service.problems import InvalidInput, MalformedBody, ServingError, UnsupportedMediaType
from service.request_body import LONG_BODY_BYTES
from service.routing import JSON, Head, Received
from service.sequences import SHORT_BODY_BYTES, TOLERATED_EXCESS, Input, Values, check_count
from service.threads import Threads
from service.together import Together
from service.validation import ImageBody, ImagesBody, validated
from service.versions import ServedModel

# A form for one picture is read this far, so that the complaint about several can say how many.
MOST_FIELDS_COUNTED = 16

FORM = "multipart/form-data"
File = bytes | str  # as it is, or in base64, which is decoded where the picture is
Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """The settings that bound a request's inputs. `time_steps`: of one call, all its series together."""

    image_pixels: int
    batch_inputs: int
    time_steps: int


class Decoder:
    """Bodies of the prediction routes → inputs, within the limits of the settings."""

    def __init__(self, threads: Threads, together: Together, limits: Limits) -> None:
        self._threads = threads
        self._together = together
        self._limits = limits

    def sequence(self, received: Received, model: ServedModel) -> Awaitable[Input]:
        """The one series of {"sequence": …}, as a tensor of one row: (1, time, feature)."""
        _check_is_json(received)
        return self._parse(received, lambda: model.sequences.tensor([self.values(received.content, model)]))

    def values(self, content: bytes, model: ServedModel) -> Values:
        """The one series of {"sequence": …}, as lists: nothing is awaited."""
        return model.sequences.one(content, self._limits.time_steps)

    def sequences(self, received: Received, model: ServedModel) -> Awaitable[list[Input]]:
        """The series of {"sequences": …}: (time, feature) each."""
        _check_is_json(received)
        inputs, steps = self._limits.batch_inputs, self._limits.time_steps
        return self._parse(received, partial(model.sequences.several, received.content, inputs, steps))

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
        return await self._threads.decode(received.exchange, decode, large=is_large)

    async def _parse(self, received: Received, parse: Callable[[], Result]) -> Result:
        if len(received.content) <= SHORT_BODY_BYTES:
            return await self._together.decode(received.exchange, parse)
        is_long = len(received.content) > LONG_BODY_BYTES
        return await self._threads.decode(received.exchange, parse, large=is_long)

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
                outcome = received.exchange.decoding(small)
            else:
                outcome = await self._threads.decode(received.exchange, small, large=len(file) > LONG_BODY_BYTES)
            if isinstance(outcome, OpenPicture):
                return await self._threads.decode(received.exchange, partial(outcome.decode, canvas), large=True)
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


def media_type_of(head: Head) -> str:
    """The Content-Type without its parameters, empty where there is none."""
    content_type = head.content_type
    if content_type == JSON:
        return JSON
    name, _ = parse_options_header(content_type)
    return name.decode("latin-1")


def is_json(head: Head) -> bool:
    """Whether the body is said to be JSON, or nothing is said of it."""
    return media_type_of(head) in (JSON, "")


def _check_is_json(received: Received) -> None:
    if not is_json(received.head):
        media_type = media_type_of(received.head)
        raise UnsupportedMediaType(
            f"Content-Type is '{media_type[:80]}', this route takes {JSON}; with curl: --json '…'"
        )


def _file(received: Received) -> File:
    media_type = media_type_of(received.head)
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
    media_type = media_type_of(received.head)
    if media_type == FORM:
        files = _form_files(received, most)
        check_count(len(files), most, "the form")
        return list(files)
    if media_type in ("", JSON):
        _check_is_of_pictures(received.content, most)
        texts = validated(ImagesBody, received.content).images
        check_count(len(texts), most, "images")
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
