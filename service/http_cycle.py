"""One request and its answer on a connection: an answer that is whole goes out in one piece."""

from collections.abc import Iterable
from typing import NamedTuple

from starlette.types import Scope
from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


class Answer(NamedTuple):
    """A whole answer. Its headers say its length."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    content: bytes


class Cycle(RequestResponseCycle):
    """uvicorn's; it keeps the head until the body comes. Both together are one system call and not two, and one packet.
    Anything but a final body of the length that the head says takes uvicorn's own way.
    """

    # As Starlette has it: one dictionary, whose keys are the application's too.
    scope: Scope  # type: ignore[assignment]
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
            self.answer(Answer(head["status"], head["headers"], body))

    def answer(self, answer: Answer) -> None:
        """Write it, and end the request."""
        status, headers, body = answer
        parts = [STATUS_LINE[status]]
        is_closed = False
        for name, value in (*self.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
            is_closed = is_closed or (name == b"connection" and b"close" in value.lower())
        self.keep_alive = self.keep_alive and not is_closed
        if not (self.keep_alive or is_closed):
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", b"" if self.scope["method"] == "HEAD" else body)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(parts))
        self.message_event.set()
        # While the rest of a body is on its way, the protocol closes: more gently, so that this answer is not lost.
        if not self.keep_alive and not self.more_body:
            self.transport.close()
        self.on_response()


def _is_whole(head: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
    if message.get("more_body", False):
        return False
    length = b"%d" % len(message.get("body", b""))
    return any(name == b"content-length" and value == length for name, value in head["headers"])


# The protocol makes what its module calls by this name, there is no other way to give it a class.
httptools_impl.RequestResponseCycle = Cycle  # type: ignore[misc]  # a class is assigned on purpose
