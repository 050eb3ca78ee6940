"""A request's body: read in its time, within its limit, inflated within the same limit, and few long ones at once."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from service.call import rest_of
from service.problems import BodyTimeout, DeadlinePassed, MalformedBody, ServingError, TooLarge

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


class Body:
    """A body, and the place for long ones that it may hold until it is released."""

    __slots__ = ("_place", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._place: asyncio.Semaphore | None = None

    async def take_place(self, places: asyncio.Semaphore) -> None:
        """Wait for one of these places."""
        await places.acquire()
        self._place = places

    def release(self) -> None:
        """Give the place back; without one, or once it is given back, nothing is done."""
        if self._place is not None:
            self._place.release()
            self._place = None


class BodyReader:
    """Reads bodies of at most `limit` bytes that come within `timeout_seconds`. A body longer than LONG_BODY_BYTES is
    read on only once one of the places for such bodies is free, and keeps it until its request is answered: memory
    stays bounded however many come.
    """

    def __init__(self, limit: int, timeout_seconds: float = 30) -> None:
        self.limit = limit
        self.timeout_seconds = timeout_seconds
        self._most_at_once = min(limit, LONG_BODY_BYTES)
        self._long_bodies = asyncio.Semaphore(LONG_BODIES_AT_ONCE)

    def takes_whole(self, headers: Iterable[tuple[bytes, bytes]], content: bytes | bytearray) -> bool:
        """Whether this is a body as `read` gives it: nothing is left to be inflated, and it needs no place."""
        return len(content) <= self._most_at_once and not any(name == b"content-encoding" for name, _ in headers)

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises MalformedBody or TooLarge."""
        self._checked(headers)

    async def read(self, scope: Scope, receive: Receive, deadline: float | None = None) -> Body:
        """The whole body, inflated; whoever gets it releases it. The deadline is in the time of the event loop.

        Raises MalformedBody, TooLarge, BodyTimeout, DeadlinePassed, or ClientDisconnect.
        """
        inflate = self._checked(scope["headers"])
        steps = receive().__await__()
        try:
            first: Awaitable[Message] = rest_of(steps, next(steps))
        except StopIteration as arrived:
            # It came with the head, as most bodies do: there is nothing to wait for, and no timer is set.
            message: Message = arrived.value
            if inflate is None and message["type"] == "http.request" and not message.get("more_body", False):
                content = message.get("body", b"")
                if len(content) <= self._most_at_once:
                    return Body(bytes(content))
            first = _as_awaitable(message)
        return await self._read_in_time(first, receive, inflate, deadline)

    async def _read_in_time(
        self, first: Awaitable[Message], receive: Receive, inflate: "Inflater | None", deadline: float | None
    ) -> Body:
        body = Body(b"")
        patience = _Patience(self.timeout_seconds, deadline)
        try:
            async with patience.timer:
                body.content = await self._collect(await first, receive, inflate, body, patience)
        except TimeoutError:
            body.release()
            if patience.timer.expired():
                raise patience.problem() from None
            raise
        except BaseException:
            body.release()
            raise
        return body

    async def _collect(
        self, message: Message, receive: Receive, inflate: "Inflater | None", body: Body, patience: "_Patience"
    ) -> bytes:
        collected = bytearray()
        received, is_long = 0, False
        while True:
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            received += len(chunk)
            self._check_size(received)
            for piece in [chunk] if inflate is None else inflate.feed(chunk):
                collected += piece
                self._check_size(len(collected))
                if not is_long and max(received, len(collected)) > LONG_BODY_BYTES:
                    is_long = True
                    with patience.paused():
                        await body.take_place(self._long_bodies)
                if inflate is not None:
                    await asyncio.sleep(0)
            if not message.get("more_body", False):
                break
            message = await receive()
        if inflate is not None:
            inflate.finish()
        return bytes(collected)

    def _checked(self, headers: Iterable[tuple[bytes, bytes]]) -> "Inflater | None":
        length: bytes | None = None
        encodings: list[bytes] = []
        for name, value in headers:
            if name == b"content-length":
                if not value.isdigit() or length not in (None, value):
                    raise MalformedBody("Content-Length is not one whole number")
                length = value
            elif name == b"content-encoding":
                encodings.append(value)
        # A length of thousands of digits is not converted: Python refuses it, and it is too large anyway.
        if length is not None and (len(length) > 18 or int(length) > self.limit):
            raise TooLarge(f"the body is longer than {self.limit} bytes")
        return _inflater([value.decode("latin-1") for value in encodings], self.limit) if encodings else None

    def _check_size(self, size: int) -> None:
        if size > self.limit:
            raise TooLarge(f"the body is longer than {self.limit} bytes")


class _Patience:
    """How long a body is waited for: so many seconds, and never past the request's deadline."""

    def __init__(self, seconds: float, deadline: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._deadline = deadline
        self._due = self._loop.time() + seconds
        self.timer = asyncio.timeout_at(self._end())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """In this block others are waited for, which the client has no part in; the deadline holds here too."""
        started = self._loop.time()
        self.timer.reschedule(self._deadline)
        yield
        self._due += self._loop.time() - started
        self.timer.reschedule(self._end())

    def problem(self) -> ServingError:
        """Which of the two times is over. A client that is told so is not listened to any longer (RFC 9110, 15.5.9)."""
        close = {"Connection": "close"}
        if self.timer.when() == self._deadline:
            return DeadlinePassed("the request's deadline passed while its body was still on its way", close)
        return BodyTimeout(f"the body did not arrive within {self._seconds:g} seconds", close)

    def _end(self) -> float:
        return self._due if self._deadline is None else min(self._due, self._deadline)


async def _as_awaitable(message: Message) -> Message:
    return message


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
