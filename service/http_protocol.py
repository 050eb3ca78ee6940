"""The connection: what is wrong before ASGI begins is told as a problem, and what came whole is answered first."""

import asyncio
from collections import deque
from contextvars import Context
from functools import partial
from typing import Protocol

import orjson
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.admission import ADMISSION, PROBES, Admission
from service.exchange import GONE, STATE, Exchange
from service.http_cycle import Answer, Cycle
from service.problems import MEDIA_TYPE, HeadersTooLarge, MalformedRequest, ServingError, problem_document
from service.request_id import HEADER, new_request_id

# Where the lifespan's state holds what refuses.
REFUSALS = "heed_refusals"
MAX_HEAD_BYTES = 64 * 1024
# What a client sent before it could know that the server stops is on its way no longer than this.
DRAINING_SECONDS = 0.5
# The rest of a body whose request is answered already is read no longer.
LINGERING_SECONDS = 5


class Refusing(Protocol):
    """What refuses requests that find no place. `answers`: else their route tells it."""

    answers: bool

    def takes(self, scope: Scope) -> bool:
        """Whether this request needs a place; else it goes its way to the application."""

    def answer(self, scope: Scope, exchange: Exchange) -> Answer:
        """The refusal. It is told in the log and in the metrics."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol; the parser itself holds a head of any size, so it is counted here."""

    # What uvicorn's module makes are ours: http_cycle.py.
    cycle: Cycle
    pipeline: "deque[tuple[Cycle, ASGI3Application]]"  # type: ignore[assignment]
    _head_bytes = 0
    _is_draining = False
    # The request that is answered; uvicorn's `cycle` is the newest, which may wait behind it.
    _running: Cycle | None = None
    _task: asyncio.Task[None] | None = None
    # The request before was refused for want of a place.
    _is_refused = False
    _is_reading = False
    # In the loop's time; None while a request is on its way.
    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    # The request that is refused once what came with its head is read.
    _turned_away: Cycle | None = None
    # What is sent once all requests that came whole are answered; None while the connection goes on.
    _last_words: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Counts the bytes that came since the last request's head was complete."""
        if self._last_words is not None:
            return
        self._head_bytes += len(data)
        self._is_reading = True
        super().data_received(data)
        self._is_reading = False
        if self._turned_away is not None:
            cycle, self._turned_away = self._turned_away, None
            self._turn_away(cycle)
        if self._head_bytes > MAX_HEAD_BYTES and self._last_words is None and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"request line and headers are longer than {MAX_HEAD_BYTES} bytes"))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin the connection."""
        super().connection_made(transport)
        self._admission: Admission = self.app_state[ADMISSION]
        self._refusals: Refusing | None = self.app_state.get(REFUSALS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer is gone: neither decoding nor a run is done for it any more."""
        super().connection_lost(exc)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._task is not None and self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._task.cancel(GONE)

    def _start_asgi_task(  # type: ignore[override]  # the class of cycles is ours
        self, cycle: Cycle, app: ASGI3Application
    ) -> None:
        """Begin to answer: probes now, all else when its turn comes. Where no place is left it is refused, now too."""
        cycle.scope["state"][STATE] = Exchange(self.loop)
        if cycle.scope["path"].endswith(PROBES):
            self._start(cycle, app)
            return
        pause = self._admission.pause_seconds(cycle.scope["headers"]) if self._is_refused else 0.0
        self._is_refused = False
        if pause:
            self.loop.call_later(pause, self._begin, cycle, app)
        else:
            self._begin(cycle, app)

    def _begin(self, cycle: Cycle, app: ASGI3Application) -> None:
        if self._admission.has_place(cycle.scope["headers"]):
            self._admission.begin(partial(self._start, cycle, app))
        else:
            self._refuse_place(cycle, app)

    def _refuse_place(self, cycle: Cycle, app: ASGI3Application) -> None:
        if self._refusals is None or not self._refusals.takes(cycle.scope):
            # It needs none.
            self._start(cycle, app)
            return
        exchange: Exchange = cycle.scope["state"][STATE]
        exchange.is_refused = self._is_refused = True
        if not self._refusals.answers or cycle.flow.write_paused:
            self._start(cycle, app)
        elif self._is_reading:
            # Not before the rest of what came with the head is taken in; and not later, while it is in the cache.
            self._turned_away = cycle
        else:
            # Not within the end of the request before, as a long pipeline of them would have it.
            self.loop.call_soon(self._turn_away, cycle)

    def _turn_away(self, cycle: Cycle) -> None:
        assert self._refusals is not None, "or it was not turned away"
        if cycle.disconnected:
            self._start(cycle, self.app)
            return
        self._running = cycle
        cycle.answer(self._refusals.answer(cycle.scope, cycle.scope["state"][STATE]))

    def _start(self, cycle: Cycle, app: ASGI3Application) -> None:
        self._running = cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def shutdown(self) -> None:
        """Answer what runs or is on its way, then close: uvicorn would reset a request that it has not read yet."""
        self._is_draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(DRAINING_SECONDS, self._close_if_idle)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._head_bytes = 0
        super().on_headers_complete()
        if self._is_draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body: no head is being read."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; what follows is the next one's head."""
        self._head_bytes = 0
        super().on_message_complete()
        # Also where it was answered before, which uvicorn does not note, nor that the connection is idle from now on.
        self.cycle.more_body = False
        if self.cycle.response_complete:
            self._become_idle()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say the last words."""
        if self._last_words is not None and not self.pipeline:
            self._close()
            return
        self._go_on()
        if self.cycle.response_complete and self.cycle.more_body:
            # Answered before its body was whole. The rest is read, for a time, so that the client can read the answer.
            if not self.cycle.keep_alive:
                self._last_words = b""
                self._close()
            else:
                self.loop.call_later(LINGERING_SECONDS, self._close_if_lingering, self.cycle)

    def _go_on(self) -> None:
        """As uvicorn's, but for the timer, which costs as much as the rest of it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._become_idle()

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
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle_for_long, context=Context())
        else:
            self.transport.close()

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
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()
