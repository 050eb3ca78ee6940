"""How a connection ends: idle for long, or with its last words, which its client can read whatever it still sends."""

import asyncio
import fcntl
import termios
from collections import deque
from contextvars import Context

import orjson
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.http_cycle import Cycle
from service.problems import MEDIA_TYPE, MalformedRequest, ServingError, problem_document
from service.request_id import HEADER, new_request_id

# The rest of a body whose request is answered already is read no longer.
LINGERING_SECONDS = 5
# What came is read within this.
UNREAD_SECONDS = 1


class ClosingProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol. What is wrong before ASGI begins is told as a problem."""

    # What uvicorn's module makes are ours: http_cycle.py.
    cycle: Cycle
    pipeline: "deque[tuple[Cycle, ASGI3Application]]"  # type: ignore[assignment]
    # In the loop's time; None while a request is on its way.
    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    # What is sent once all requests that came whole are answered; None while the connection goes on.
    _last_words: bytes | None = None

    def _become_idle(self) -> None:
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            # In an empty context: the request's would live as long as the connection, with the model that it asked.
            self._idle_timer = self.loop.call_later(
                self.timeout_keep_alive, self._close_if_idle_for_long, context=Context()
            )

    def _unset_keepalive_if_required(self) -> None:
        # The timer goes on, and looks at this once its time has come.
        self._idle_since = None

    def _close_if_idle_for_long(self) -> None:
        self._idle_timer = None
        if self._idle_since is None or self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0 and self._has_unread():
            left = UNREAD_SECONDS
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle_for_long, context=Context())
        else:
            self.transport.close()

    def _has_unread(self) -> bool:
        """Whether something came that the event loop has not come to read yet: a request, most likely. A connection
        that is closed then is reset.
        """
        file = self.transport.get_extra_info("socket").fileno()
        return any(fcntl.ioctl(file, termios.FIONREAD, bytes(4)))

    def _close_if_lingering(self, cycle: Cycle) -> None:
        if cycle.more_body and not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(MalformedRequest("the request's line, headers, Content-Length or chunks are not valid HTTP"))

    def _refuse(self, error: ServingError) -> None:
        content = orjson.dumps(problem_document(error))
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
            (HEADER, new_request_id()),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self._end(STATUS_LINE[error.status] + lines + b"\r\n" + content)

    def _end(self, last_words: bytes) -> None:
        """Close, after the answers that are owed and these words."""
        self._last_words = last_words
        if not self._is_answer_owed():
            self._close()

    def _is_answer_owed(self) -> bool:
        if self.cycle is None or self.cycle.response_complete:
            return False
        if not self.cycle.more_body:
            return True
        # The newest request will never be whole. Where it is not the running one, it waits behind some that are.
        if self.pipeline:
            self.pipeline.popleft()
            return True
        return False

    def _close(self) -> None:
        """Say the last words and listen to nothing any more. What the client sent meanwhile is taken off the wire for a
        time: where some of it is left when a connection closes, the system resets it, and the last words are lost.
        """
        if self.transport.is_closing():
            return
        self.transport.write(self._last_words or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self.loop.call_later(LINGERING_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _close_if_idle(self) -> None:
        if self.transport.is_closing() or not (self.cycle is None or self.cycle.response_complete):
            return
        if self._has_unread():
            self.loop.call_later(UNREAD_SECONDS, self._close_if_idle)
        else:
            self.transport.close()
