"""The connection: when a request begins, and in whose hands; what came whole is answered first."""

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from uvicorn._types import ASGI3Application

from service.admission import ADMISSION, PROBES, Admission
from service.call import Call
from service.exchange import GONE, STATE, Exchange, Running
from service.http_closing import LINGERING_SECONDS, ClosingProtocol
from service.http_cycle import Cycle, KnownCycle
from service.outgoing import OUTBOX, Outbox, Outgoing
from service.problems import HeadersTooLarge

if TYPE_CHECKING:  # the parent of the workers needs none of what it needs
    from service.direct import Direct
    from service.known_heads import Known

# Where the lifespan's state holds what answers without ASGI.
DIRECT = "heed_direct"
MAX_HEAD_BYTES = 64 * 1024
# What a client sent before it could know that the server stops is on its way no longer than this.
DRAINING_SECONDS = 0.5


class _Probe(Call):
    """A probe on its way through the application, which tells its end itself."""

    def ended(self, result: Any, error: BaseException | None) -> None:
        """It is told."""


class HttpProtocol(ClosingProtocol):
    """Each request goes straight to its route where it can, else through ASGI. The parser holds a head of any size, so
    it is counted here.
    """

    _head_bytes = 0
    _is_draining = False
    # The request that is answered; uvicorn's `cycle` is the newest, which may wait behind it.
    _running: Cycle | None = None
    _task: asyncio.Task[None] | Running | None = None
    # The loop's time when the request before was refused for want of a place, if it was.
    _refused_at: float | None = None
    _is_reading = False
    transport: Outgoing  # type: ignore[assignment]  # all of a transport that is used
    # The request that begins once what came with its head is read; only then is it known whether it came whole.
    _arrived: tuple[Cycle, ASGI3Application] | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless it is a whole request whose head was parsed before. Counts the bytes that came since
        the last request's head was complete.
        """
        if self._last_words is not None:
            return
        is_next = self._awaits_the_next()
        if is_next and self._direct is not None and (known := self._direct.heads.of(data)) is not None:
            self._begin_known(self._direct, known, data)
            return
        self._head_bytes += len(data)
        self._is_reading = True
        super().data_received(data)
        self._is_reading = False
        if self._arrived is not None:
            (cycle, app), self._arrived = self._arrived, None
            if is_next and cycle.keep_alive and not (cycle.more_body or self.pipeline or self._head_bytes):
                cycle.raw = data
            self._arrive(cycle, app)
        if self._head_bytes > MAX_HEAD_BYTES and self._last_words is None and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"request line and headers are longer than {MAX_HEAD_BYTES} bytes"))

    def _awaits_the_next(self) -> bool:
        """Whether the request before is read and answered, and nothing of another one came."""
        if self._head_bytes or self._is_draining or self.flow.write_paused or self.transport.is_closing():
            return False
        cycle = self.cycle
        return cycle is None or (cycle.response_complete and not cycle.more_body)

    def _begin_known(self, direct: "Direct", known: "Known", data: bytes) -> None:
        seconds = known.head.seconds
        pause = 0.0 if self._refused_at is None else self._pause_seconds(seconds)
        if not pause and not self._admission.has_place(seconds):
            self.server_state.total_requests += 1
            self.transport.write(direct.refusals.of_known(known, self.server_state.default_headers, self.loop))
            self._become_idle()
            self._refused_at = self._idle_since
            return
        self._idle_since = None
        self.cycle = cycle = KnownCycle(known, data, Exchange(self.loop), self)
        if pause:
            self.loop.call_later(pause, self._begin, cycle, self.app)
        else:
            self._admission.begin(self._start_known, direct, cycle)

    def _pause_seconds(self, seconds: float) -> float:
        """As Admission's, once after each refusal."""
        refused_at, self._refused_at = self._refused_at, None
        if refused_at is None:
            return 0.0
        return self._admission.pause_seconds(seconds, self.loop.time() - refused_at)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin the connection."""
        outbox = self.app_state.setdefault(OUTBOX, Outbox(self.loop))
        super().connection_made(Outgoing(transport, outbox))  # type: ignore[arg-type]  # all of one that is used
        self._admission: Admission = self.app_state[ADMISSION]
        self._direct: Direct | None = self.app_state.get(DIRECT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer is gone: neither decoding nor a run is done for it any more."""
        super().connection_lost(exc)
        if self._task is not None and self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._task.cancel(GONE)
        self._forget()

    def _forget(self) -> None:
        """All that knows the connection: else only the garbage collection would find it, and where many clients come
        and go it would stop all answers again and again.
        """
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self.cycle = self._running = self._task = self._arrived = self._idle_timer = None  # type: ignore[assignment]
        self.pipeline.clear()

    def _start_asgi_task(  # type: ignore[override]  # the class of cycles is ours
        self, cycle: Cycle, app: ASGI3Application
    ) -> None:
        """Begin to answer, once what came with the request's head is taken in."""
        cycle.exchange = cycle.scope["state"][STATE] = Exchange(self.loop)
        if self._is_reading:
            self._arrived = (cycle, app)
        else:
            self._arrive(cycle, app)

    def _arrive(self, cycle: Cycle, app: ASGI3Application) -> None:
        """Begin to answer: probes now, all else when its turn comes. Where no place is left it is refused, now too."""
        if cycle.scope["path"].endswith(PROBES):
            self._start_probe(cycle, app)
            return
        if pause := self._pause_seconds(self._seconds(cycle)):
            self.loop.call_later(pause, self._begin, cycle, app)
        else:
            self._begin(cycle, app)

    def _begin(self, cycle: Cycle, app: ASGI3Application) -> None:
        if self._admission.has_place(self._seconds(cycle)):
            self._admission.begin(self._start, cycle, app)
        else:
            self._refuse_place(cycle, app)

    def _seconds(self, cycle: Cycle) -> float:
        return cycle.known.head.seconds if cycle.known else self._admission.seconds(cycle.scope["headers"])

    def _refuse_place(self, cycle: Cycle, app: ASGI3Application) -> None:
        direct = self._direct
        found = None if direct is None else cycle.known.found if cycle.known else direct.find(cycle.scope)
        if direct is None or found is None:
            # It needs none.
            self._start(cycle, app)
            return
        cycle.exchange.is_refused = True
        self._refused_at = self.loop.time()
        if cycle.flow.write_paused:
            self._start(cycle, app)
            return
        self._running = cycle
        direct.refuse(found, cycle)

    def _start_known(self, direct: "Direct", cycle: KnownCycle) -> None:
        if cycle.disconnected:
            # While it stood in line.
            direct.tell_gone(cycle.known, cycle.exchange)
        else:
            self._running = cycle
            self._task = call = direct.call_of_known(cycle.known, cycle, self.tasks)
            call.go_on()

    def _start(self, cycle: Cycle, app: ASGI3Application) -> None:
        direct = self._direct
        if direct is not None and isinstance(cycle, KnownCycle):
            self._start_known(direct, cycle)
            return
        self._running = cycle
        if direct is None or not self._is_whole(cycle, direct):
            self._task = task = self.loop.create_task(cycle.run_asgi(app))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        else:
            self._task = call = direct.call(cycle, self.tasks)
            call.go_on()

    def _start_probe(self, cycle: Cycle, app: ASGI3Application) -> None:
        """Answered in this moment, if it waits for nothing: a turn may be long, and a task takes two."""
        self._running = cycle
        self._task = probe = _Probe(cycle.exchange, cycle.run_asgi(app), self.tasks)
        copy_context().run(probe.go_on)
        self.transport.flush()

    def _is_whole(self, cycle: Cycle, direct: "Direct") -> bool:
        """Whether it can be answered without ASGI."""
        if cycle.more_body or cycle.disconnected or cycle.flow.write_paused:
            return False
        found = direct.find(cycle.scope)
        if found is None or not direct.takes(found, cycle.scope, cycle.body):
            return False
        cycle.found, cycle.content = found, bytes(cycle.body)
        # Where more came behind it uvicorn reads on only once the body is asked for; and a client's end is read too.
        cycle.flow.resume_reading()
        return True

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
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
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
        self.flow.resume_reading()
        if self.pipeline:
            # Not within the end of the one before: of a long pipeline each would be answered within another's end.
            self.loop.call_soon(self._start_next, *self.pipeline.pop())
        else:
            self._become_idle()

    def _start_next(self, cycle: Cycle, app: ASGI3Application) -> None:
        if not self.transport.is_closing():
            self._start_asgi_task(cycle, app)
