"""What is known of one request while it is answered: for its log lines, for the metrics, for its deadline."""

import asyncio
import time
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol

from service.timing import Timing

STATE = "heed_exchange"
# What nginx logs where the client left before its answer. Never on the wire.
STATUS_OF_A_GONE_CLIENT = 499
# The reason that the connection cancels a request with whose client is gone.
GONE = "the client is gone"


class Answering(Protocol):
    """The model that a request is for, as metrics know it."""

    name: str
    version: str

    def decoded(self, seconds: float) -> None:
        """A request's body was read into inputs in that time."""

    def encoded(self, seconds: float) -> None:
        """An answer was written in that time."""


class Exchange(Timing):
    """Filled in on the way. `is_refused`: there was no place when it came; `waited_seconds`: for its turn to begin,
    which is queueing; `route`: the path's template, "other" where there is none; `problem`: its word. The loop is kept
    because asking for it costs a system call in Python 3.11.
    """

    is_refused = False
    waited_seconds = 0.0
    request_id = b""
    traceparent = b""
    status = STATUS_OF_A_GONE_CLIENT
    route = "other"
    problem = ""
    model: Answering | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self.started = time.perf_counter()

    def begin(self, request_id: bytes, traceparent: bytes) -> None:
        """It begins to be answered, by these ids."""
        self.queue = self.waited_seconds = time.perf_counter() - self.started
        self.request_id = request_id
        self.traceparent = traceparent

    def until(self, seconds: float) -> float:
        """When it has had so many seconds since it came, in the loop's time; once it has begun to be answered."""
        return self.loop.time() + seconds - self.waited_seconds

    @property
    def outcome(self) -> str:
        """The problem's word; "gone", where the client left before its answer; "ok"."""
        if self.status == STATUS_OF_A_GONE_CLIENT:
            return "gone"
        return self.problem or ("ok" if self.status < 400 else str(self.status))

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.perf_counter() - self.started


class Running(Protocol):
    """A call that is on its way: call.py."""

    exchange: Exchange

    def cancel(self, msg: Any = None) -> bool:
        """As a task's."""

    def uncancel(self) -> int:
        """As a task's."""


class Now:
    """What is answered at this moment without a task around it, if that is so. One for the process: an attribute of
    its own class would have Python look up all others anew each time that it changes.
    """

    __slots__ = ("call",)
    call: Running | None

    def __init__(self) -> None:
        self.call = None


NOW = Now()
# The one that a task answers. Log lines are marked with the ids of the one or the other.
CURRENT: ContextVar[Exchange] = ContextVar("heed_exchange")


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """The request's own; begun by the connection, or here where there is none."""
    try:
        exchange: Exchange = scope["state"][STATE]
    except KeyError:
        exchange = scope.setdefault("state", {})[STATE] = Exchange()
    return exchange


def with_request(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: adds the ids of the request that is answered."""
    exchange = NOW.call.exchange if NOW.call else CURRENT.get(None)
    if exchange is not None:
        event.setdefault("request_id", exchange.request_id.decode())
        if exchange.traceparent:
            event.setdefault("traceparent", exchange.traceparent.decode())
    return event
