"""A request's body: read within its limit, inflated within the same limit, and few long ones at once."""

import zlib
from asyncio import sleep
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from anyio import CapacityLimiter
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.problems import MalformedBody, TooLarge

# From here on a body counts: as bytes, and as the many times more that JSON of this length can become.
LONG_BODY_BYTES = 2**20
# Eight bodies of the default limit of 16 MiB are 128 MiB: less than one large picture takes while it is decoded.
LONG_BODIES_AT_ONCE = 8
# Inflated in one go on the event loop, about a millisecond; then others have their turn.
INFLATED_PIECE_BYTES = 2**20
# Block gzip, as bgzip writes it, has one member for each 64 KiB. Members cost time even where they hold nothing.
MOST_MEMBERS = 1000

GZIP_WBITS = 31
ZLIB_WBITS = 15
RAW_WBITS = -15


class BodyReader:
    """Reads bodies of at most `limit` bytes. A body longer than LONG_BODY_BYTES is read on only once one of the
    places for such bodies is free, and keeps it until its request is answered: memory stays bounded however many come.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._long_bodies = CapacityLimiter(LONG_BODIES_AT_ONCE)

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body, inflated. Raises MalformedBody, TooLarge, or ClientDisconnect."""
        headers = Headers(scope=scope)
        self._check_length(headers.getlist("content-length"))
        inflate = _inflater(headers.getlist("content-encoding"), self.limit)
        async with AsyncExitStack() as place:
            yield await self._collect(receive, inflate, place)

    async def _collect(self, receive: Receive, inflate: "Inflater | None", place: AsyncExitStack) -> bytes:
        body = bytearray()
        received, is_long, more = 0, False, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            received += len(chunk)
            self._check_size(received)
            if not more and not body and inflate is None:
                return bytes(chunk)
            for piece in [chunk] if inflate is None else inflate.feed(chunk):
                body += piece
                self._check_size(len(body))
                if not is_long and max(received, len(body)) > LONG_BODY_BYTES:
                    is_long = True
                    await place.enter_async_context(_place(self._long_bodies))
                if inflate is not None:
                    await sleep(0)
        if inflate is not None:
            inflate.finish()
        return bytes(body)

    def _check_length(self, values: list[str]) -> None:
        if not values:
            return
        if len(set(values)) > 1 or not (values[0].isascii() and values[0].isdecimal()):
            raise MalformedBody("Content-Length is not one whole number")
        # A length of thousands of digits is not converted: Python refuses it, and it is too large anyway.
        if len(values[0]) > 18 or int(values[0]) > self.limit:
            raise TooLarge(f"the body is longer than {self.limit} bytes")

    def _check_size(self, size: int) -> None:
        if size > self.limit:
            raise TooLarge(f"the body is longer than {self.limit} bytes")


@asynccontextmanager
async def _place(limiter: CapacityLimiter) -> AsyncIterator[None]:
    # The default borrower is the task, and one task may hold only one place: an object of its own is always free.
    borrower = object()
    await limiter.acquire_on_behalf_of(borrower)
    try:
        yield
    finally:
        limiter.release_on_behalf_of(borrower)


class Inflater:
    """Inflates chunk by chunk and never past the limit. `begin` makes the decompressor from the first two bytes."""

    def __init__(self, encoding: str, begin: Callable[[bytes], "zlib._Decompress"], limit: int) -> None:
        self._encoding = encoding
        self._begin = begin
        self._limit = limit
        self._size = 0
        self._members = 0
        self._held = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk inflates to, in pieces that take little time each. Raises MalformedBody or TooLarge."""
        data = self._held + chunk
        # The decompressor may have taken all its input and still have output to give.
        is_piece_full = False
        while data or is_piece_full:
            if self._stream is None or self._stream.eof:
                if len(data) < 2:
                    break
                self._stream = self._next_stream(data)
            most = min(INFLATED_PIECE_BYTES, self._limit - self._size + 1)
            try:
                piece = self._stream.decompress(data, most)
            except zlib.error as error:
                raise MalformedBody(f"the body is not valid {self._encoding}") from error
            self._size += len(piece)
            if self._size > self._limit:
                raise TooLarge(f"the inflated body is longer than {self._limit} bytes")
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            is_piece_full = len(piece) == most and not self._stream.eof
            yield piece
        self._held = data

    def finish(self) -> None:
        """Raises MalformedBody where the stream ended early."""
        if self._held or self._stream is None or not self._stream.eof:
            raise MalformedBody(f"the body's {self._encoding} ends too early")

    def _next_stream(self, data: bytes) -> "zlib._Decompress":
        # Only gzip allows a further member after the first (RFC 1952, section 2.2).
        if self._stream is not None and self._encoding != "gzip":
            raise MalformedBody(f"there is more after the end of the body's {self._encoding}")
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise MalformedBody(f"the body's {self._encoding} has more than {MOST_MEMBERS} members")
        return self._begin(data[:2])


def _inflater(encodings: list[str], limit: int) -> Inflater | None:
    named = [name for value in encodings for name in value.lower().replace(" ", "").split(",") if name]
    match [name for name in named if name != "identity"]:
        case []:
            return None
        case ["gzip" | "x-gzip"]:
            return Inflater("gzip", lambda _: zlib.decompressobj(GZIP_WBITS), limit)
        case ["deflate"]:
            return Inflater("deflate", _begin_deflate, limit)
        case _:
            raise MalformedBody(f"Content-Encoding is '{', '.join(encodings)[:80]}', gzip or deflate is taken")


def _begin_deflate(first_two: bytes) -> "zlib._Decompress":
    # The standard says zlib's form (RFC 9110, 8.4.1.2), clients send the raw one too; a zlib header has a checksum.
    has_header = first_two[0] & 0x0F == 8 and int.from_bytes(first_two, "big") % 31 == 0
    return zlib.decompressobj(ZLIB_WBITS if has_header else RAW_WBITS)
