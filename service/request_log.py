"""The outermost layer: every request has an id and one access line, and nothing but a problem comes out of a bug."""

import asyncio
import re
import time
import uuid

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import DETAIL_OF_500, Draining, InternalError, problem_response

HEADER = b"x-request-id"
SANE_ID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
# In a log line it may reach a terminal.
SANE_TRACEPARENT = re.compile(r"[\x21-\x7e]{1,256}")
# Asked every second or so, by whoever waits for the service or watches over it.
QUIET_PATHS = ("/v2/health/live", "/v2/health/ready")
# What nginx logs where the client left before its answer. Never on the wire.
STATUS_OF_A_GONE_CLIENT = 499


class RequestLog:
    """Pure ASGI. Takes over or makes X-Request-ID, binds it and `traceparent` in the logs, writes the access line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._logger = structlog.get_logger("service.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        identity = request_id(scope)
        response = _Response(send, identity)
        with structlog.contextvars.bound_contextvars(**_bound(scope, identity)):
            await self._answer(scope, receive, response)
            log = self._logger.debug if scope["path"].endswith(QUIET_PATHS) else self._logger.info
            log(
                "request",
                method=scope["method"],
                path=scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:2000],
                status=response.status,
                duration_ms=round((time.perf_counter() - started) * 1000, 3),
            )

    async def _answer(self, scope: Scope, receive: Receive, response: "_Response") -> None:
        try:
            await self._app(scope, receive, response.send)
        except asyncio.CancelledError:
            # uvicorn cancels what still runs when the time for stopping is over; the task ends here either way.
            if response.status == STATUS_OF_A_GONE_CLIENT:
                await problem_response(Draining("the server is stopping", {"Retry-After": "1"}))(
                    scope, receive, response.send
                )
        except Exception as error:  # the edge: everything that was not told as a problem is our bug
            self._logger.error("request failed", exc_info=error)
            if response.status == STATUS_OF_A_GONE_CLIENT:
                await problem_response(InternalError(DETAIL_OF_500))(scope, receive, response.send)


class _Response:
    """Adds the id to the response's head, and remembers its status."""

    def __init__(self, send: Send, identity: bytes) -> None:
        self._send = send
        self._identity = identity
        self.status = STATUS_OF_A_GONE_CLIENT

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (HEADER, self._identity)]
        await self._send(message)


def request_id(scope: Scope) -> bytes:
    """The caller's id where it is 1 to 128 printable ASCII characters, else a new one."""
    given = [value for name, value in scope["headers"] if name == HEADER]
    return given[0] if len(given) == 1 and SANE_ID.fullmatch(given[0]) else new_request_id()


def new_request_id() -> bytes:
    """An id that no other request has."""
    return uuid.uuid4().hex.encode()


def _bound(scope: Scope, identity: bytes) -> dict[str, str]:
    traceparent = Request(scope).headers.get("traceparent", "")
    traced = {"traceparent": traceparent} if SANE_TRACEPARENT.fullmatch(traceparent) else {}
    return {"request_id": identity.decode(), **traced}
