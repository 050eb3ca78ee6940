"""One request and its answer on a connection: an answer that is whole goes out in one piece."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from starlette.types import Scope
from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.exchange import Exchange

if TYPE_CHECKING:  # the parent of the workers needs none of what these need
    from service.front import Found
    from service.known_heads import Known


# An answer with a JSON document: how it begins, the length, the times, the id, how its head ends, the document.
DOCUMENT = (
    b"%bcontent-type: application/json\r\ncontent-length: %d\r\n"
    b"server-timing: %b\r\nx-request-id: %b\r\n%b\r\n%b"
)  # fmt: skip


class Answer(NamedTuple):
    """A whole answer. Its headers say its length."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


class Cycle(RequestResponseCycle):
    """uvicorn's; it keeps the head until the body comes. Both together are one system call and not two, and one packet.
    Anything but a final body of the length that the head says takes uvicorn's own way.
    """

    # As Starlette has it: one dictionary, whose keys are the application's too.
    scope: Scope  # type: ignore[assignment]
    # As a Whole's, where it came whole: direct.py.
    exchange: Exchange
    found: "Found"
    content: bytes
    known: "Known | None" = None
    raw: bytes | None = None
    _head: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start" and not self.response_started:
            # In the place of one that is kept, where the application failed between head and body.
            self._head = message
            return
        head, self._head = self._head, None
        if head is None:
            await super().send(message)
        elif message["type"] == "http.response.body" and _is_whole(head, message):
            await self._send_whole(head, message.get("body", b""))
        else:
            await super().send(head)
            await super().send(message)

    async def _send_whole(self, head: HTTPResponseStartEvent, body: bytes) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self.answer(Answer(head["status"], list(head["headers"]), body))

    def give(self, answer: Answer | None) -> None:
        """Write it, unless the client is gone."""
        if answer is not None and not self.disconnected:
            self.answer(answer)

    def answer(self, answer: Answer) -> None:
        """Write it, and end the request."""
        status, headers, body = answer
        if b"close" in dict(headers).get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        content = b"" if self.scope["method"] == "HEAD" else body
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(answer_bytes(status, (*self.default_headers, *headers), content))
        self.message_event.set()
        # While the rest of a body is on its way, the protocol closes: more gently, so that this answer is not lost.
        if not self.keep_alive and not self.more_body:
            self.transport.close()
        self.on_response()


def answer_bytes(status: int, headers: Iterable[tuple[bytes, bytes]], content: bytes) -> bytes:
    """A whole answer as it goes over the wire."""
    return b"%b\r\n%b" % (begin_of_answer(status, headers), content)


def begin_of_answer(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The status line and these headers."""
    return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in headers])


class _NobodyWaits(asyncio.Event):
    """For what is there already."""

    def set(self) -> None:
        """Nobody is told."""


class KnownCycle(Cycle):
    """One whose head came before, and whose body is there: it takes no ASGI to answer it."""

    body = bytearray()
    more_body = False
    disconnected = False
    keep_alive = True
    response_started = False
    response_complete = False
    message_event = _NobodyWaits()
    known: "Known"

    def __init__(self, known: "Known", raw: bytes, exchange: Exchange, protocol: HttpToolsProtocol) -> None:
        # Not uvicorn's own: it keeps what it needs to read a body.
        self.known = known
        self.content = raw[known.head_size :]
        self.scope = known.scope
        self.found = known.found
        self.exchange = exchange
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.default_headers = protocol.server_state.default_headers
        self.on_response = protocol.on_response_complete

    def give_document(self, document: bytes) -> None:
        """Write a JSON document, as `give` would an answer of the route that is nothing but that; unless the client is
        gone. Most answers are: their heads differ in four places.
        """
        if self.disconnected:
            return
        exchange = self.exchange
        self.response_complete = True
        self.transport.write(
            DOCUMENT
            % (
                BEGIN.of(self.default_headers),
                len(document),
                exchange.server_timing(),
                exchange.request_id,
                b"" if self.keep_alive else b"connection: close\r\n",
                document,
            )
        )
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class BeginOfDocuments:
    """What all answers with a document begin with, as long as the server says the same of itself: for a second."""

    _headers: list[tuple[bytes, bytes]] | None = None
    _begin = b""

    def of(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """With these headers."""
        if headers is not self._headers:
            self._headers, self._begin = headers, begin_of_answer(200, headers)
        return self._begin


BEGIN = BeginOfDocuments()


def _is_whole(head: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
    if message.get("more_body", False):
        return False
    length = b"%d" % len(message.get("body", b""))
    return any(name == b"content-length" and value == length for name, value in head["headers"])


# The protocol makes what its module calls by this name, there is no other way to give it a class.
httptools_impl.RequestResponseCycle = Cycle  # type: ignore[misc]  # a class is assigned on purpose
