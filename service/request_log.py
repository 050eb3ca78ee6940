"""The outermost layer: every request has an id and one access line, and nothing but a problem comes out of a bug."""

import asyncio
import re

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from service.access_log import AccessLog
from service.exchange import CURRENT, GONE, STATUS_OF_A_GONE_CLIENT, Exchange, exchange_of
from service.problems import DETAIL_OF_500, Draining, InternalError, ServingError, send_problem
from service.request_id import HEADER, request_id

TRACEPARENT = b"traceparent"
SANE_TRACEPARENT = re.compile(rb"[\x21-\x7e]{1,256}")


class RequestLog:
    """Pure ASGI. Takes over or makes X-Request-ID, binds it and `traceparent` in the logs, tells the access log."""

    def __init__(self, app: ASGIApp, access_log: AccessLog) -> None:
        self._app = app
        self._access_log = access_log
        self._logger = structlog.get_logger("service.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        CURRENT.set(exchange)
        identify(scope, exchange)
        await self._answer(scope, receive, _Response(send, exchange))
        self._access_log.tell(scope, exchange)

    async def _answer(self, scope: Scope, receive: Receive, response: "_Response") -> None:
        try:
            await self._app(scope, receive, response.send)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # the edge
            problem = problem_of(error, self._logger)
            if problem is not None:
                await response.refuse(problem, scope, receive)


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


def problem_of(error: BaseException, logger: FilteringBoundLogger) -> ServingError | None:
    """What is told where a request ended with this error. None: its client is gone. Our bugs are logged here."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, asyncio.CancelledError):
        # uvicorn cancels what still runs when the time for stopping is over; the request ends here either way.
        return None if error.args == (GONE,) else Draining("the server is stopping", {"Retry-After": "1"})
    logger.error("request failed", exc_info=error)
    return InternalError(DETAIL_OF_500)


def identify(scope: Scope, exchange: Exchange) -> None:
    """Note the ids that the request goes by, now that it begins to be answered, and how long it has waited for this."""
    ids: list[bytes] = []
    traces: list[bytes] = []
    for name, value in scope["headers"]:
        if name == HEADER:
            ids.append(value)
        elif name == TRACEPARENT:
            traces.append(value)
    # In a log line it may reach a terminal.
    exchange.begin(request_id(ids), traces[0] if traces and SANE_TRACEPARENT.fullmatch(traces[0]) else b"")
