"""What is known of one request while it is answered: for its log lines, for the metrics, for its deadline."""

import asyncio
import time
from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

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


@dataclass(slots=True)
class Exchange:
    """Filled in on the way. `is_refused`: there was no place when it came; `waited_seconds`: for its turn to begin;
    `route`: the path's template, "other" where there is none; `media_type`: the one of the route's that Accept prefers;
    `problem`: its word. The loop is kept because asking for
    it costs a system call in Python 3.11.
    """

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    started: float = field(default_factory=time.perf_counter)
    is_refused: bool = False
    waited_seconds: float = 0.0
    request_id: bytes = b""
    traceparent: bytes = b""
    status: int = STATUS_OF_A_GONE_CLIENT
    route: str = "other"
    media_type: str = ""
    problem: str = ""
    model: Answering | None = None

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


# The one that is answered now: log lines are marked with its ids.
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
    exchange = CURRENT.get(None)
    if exchange is not None:
        event.setdefault("request_id", exchange.request_id.decode())
        if exchange.traceparent:
            event.setdefault("traceparent", exchange.traceparent.decode())
    return event
