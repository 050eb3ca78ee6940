"""The outermost layer: every request has an id and one access line, and nothing but a problem comes out of a bug."""

import asyncio
import logging
import re

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.admission import PROBES
from service.exchange import CURRENT, GONE, STATUS_OF_A_GONE_CLIENT, Exchange, exchange_of
from service.metrics import Metrics
from service.problems import DETAIL_OF_500, Draining, InternalError, ServingError, send_problem
from service.request_id import HEADER, request_id

SANE_TRACEPARENT = re.compile(rb"[\x21-\x7e]{1,256}")


class RequestLog:
    """Pure ASGI. Takes over or makes X-Request-ID, binds it and `traceparent` in the logs, writes the access line,
    counts the answer.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._logger = structlog.get_logger("service.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        exchange.waited_seconds = exchange.seconds
        exchange.request_id = request_id(scope)
        exchange.traceparent = traceparent(scope)
        CURRENT.set(exchange)
        await self._answer(scope, receive, _Response(send, exchange))
        self._tell(scope, exchange)

    def _tell(self, scope: Scope, exchange: Exchange) -> None:
        model = exchange.model
        self._metrics.count_request(exchange.route, exchange.outcome, *((model.name, model.version) if model else ()))
        level = logging.DEBUG if scope["path"].endswith(PROBES) else logging.INFO
        if not self._logger.is_enabled_for(level):
            return
        self._logger.log(
            level,
            "request",
            method=scope["method"],
            path=scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:2000],
            status=exchange.status,
            duration_ms=round(exchange.seconds * 1000, 3),
        )

    async def _answer(self, scope: Scope, receive: Receive, response: "_Response") -> None:
        try:
            await self._app(scope, receive, response.send)
        except asyncio.CancelledError as cancelled:
            # uvicorn cancels what still runs when the time for stopping is over; the task ends here either way.
            if cancelled.args != (GONE,):
                await response.refuse(Draining("the server is stopping", {"Retry-After": "1"}), scope, receive)
        except Exception as error:  # the edge: everything that was not told as a problem is our bug
            self._logger.error("request failed", exc_info=error)
            await response.refuse(InternalError(DETAIL_OF_500), scope, receive)


class _Response:
    """Adds the id to the response's head, and remembers its status."""

    __slots__ = ("_exchange", "_send")

    def __init__(self, send: Send, exchange: Exchange) -> None:
        self._send = send
        self._exchange = exchange

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._exchange.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (HEADER, self._exchange.request_id)]
        await self._send(message)

    async def refuse(self, error: ServingError, scope: Scope, receive: Receive) -> None:
        """Tell the problem, unless an answer has begun."""
        if self._exchange.status == STATUS_OF_A_GONE_CLIENT:
            await send_problem(error, scope, receive, self.send)


def traceparent(scope: Scope) -> bytes:
    """The caller's, where it is printable: in a log line it may reach a terminal."""
    given = [value for name, value in scope["headers"] if name == b"traceparent"]
    return given[0] if given and SANE_TRACEPARENT.fullmatch(given[0]) else b""
