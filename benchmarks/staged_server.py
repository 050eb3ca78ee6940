"""One process that does a part of Heed's work, or all of it in another way: `-m benchmarks.staged_server STAGE`."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import orjson
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Before Heed's own protocol takes its place.
UVICORN_CYCLE = httptools_impl.RequestResponseCycle

import service.app  # noqa: E402
from service.access_log import AccessLog  # noqa: E402  # see above
from service.admission import ADMISSION, Admission  # noqa: E402
from service.app import create_app  # noqa: E402
from service.direct import Direct  # noqa: E402
from service.front import Front  # noqa: E402
from service.http_protocol import DIRECT  # noqa: E402
from service.logs import configure_logging  # noqa: E402
from service.memory import quieten_collector  # noqa: E402
from service.metrics import Metrics, Unmetered  # noqa: E402
from service.pace import Pace  # noqa: E402
from service.request_body import BodyReader  # noqa: E402
from service.request_log import RequestLog  # noqa: E402
from service.routing import Document, Doors, LeanRoute, Received  # noqa: E402
from service.server import server_config  # noqa: E402
from service.session import Session  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.validation import SequenceBody, validated  # noqa: E402

PATH = "/predict/timeseries"
# About as long as a real answer, so that writing it costs the same.
ANSWER: Document = {"weights": [round(0.0123 * number, 6) for number in range(60)]}
BODY = orjson.dumps(ANSWER)
HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """The same bytes for every request."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})


async def with_body(received: Received) -> Document:
    """A route that does not look at what it gets."""
    return ANSWER


async def with_validation(received: Received) -> Document:
    """… and holds it against its schema."""
    validated(SequenceBody, received.content)
    return ANSWER


async def with_tensor(received: Received) -> Document:
    """… and makes it a tensor."""
    np.array(validated(SequenceBody, received.content).sequence, np.float32)
    return ANSWER


class _Part:
    """What stands around an endpoint, and the endpoint: answered by the connection itself."""

    def __init__(self, endpoint: Callable[..., Any]) -> None:
        admission, access_log = Admission(512), AccessLog(Unmetered())
        doors = Doors(admission, BodyReader(2**24))
        front = Front(constant, [LeanRoute(PATH, endpoint, doors=doors, methods=["POST"], response_model=None)])
        self.state = {ADMISSION: admission, DIRECT: Direct(front, admission, access_log)}
        self._app = RequestLog(front, access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Forgetful(dict[bytes, Any]):
    """No head is known."""

    def get(self, key: bytes, default: Any = None) -> Any:
        """Nothing."""
        return default


class _InThread(Session):
    """Every run takes the way to a thread."""

    def __init__(self, model: bytes, pace: Pace | None = None) -> None:
        super().__init__(model, pace)
        self.pace = replace(self.pace, seconds={rows: it + 1 for rows, it in self.pace.seconds.items()})


def _past_the_front(app: Any) -> ASGIApp:
    """FastAPI's and Starlette's stack in front of the router, instead of Front."""
    behind: FastAPI = app._app._app
    return RequestLog(behind, AccessLog(Metrics()))


def _settings(**changes: Any) -> Settings:
    return Settings(workers=1, **changes)


STAGES: dict[str, Callable[[], ASGIApp]] = {
    "parser": lambda: constant,
    "connection": lambda: constant,
    "route": lambda: _Part(with_body),
    "validation": lambda: _Part(with_validation),
    "tensor": lambda: _Part(with_tensor),
    "unmetered": lambda: create_app(_settings(metrics=False)),
    "whole": lambda: create_app(_settings()),
    "parsed": lambda: create_app(_settings()),
    "asgi": lambda: create_app(_settings()),
    "fastapi-stack": lambda: _past_the_front(create_app(_settings())),
    "thread": lambda: create_app(_settings(), _InThread),
    "alone": lambda: create_app(_settings(max_batch_size=1)),
    "collector": lambda: create_app(_settings()),
    "access-log": lambda: create_app(_settings()),
}


WITHOUT_LIFESPAN = ("parser", "connection", "route", "validation", "tensor")
THROUGH_ASGI = ("asgi", "fastapi-stack")


class _WithLifespan:
    """Answers the lifespan of a part that has none; a whole application has its own."""

    def __init__(self, app: ASGIApp, stage: str) -> None:
        self._app = app
        self._stage = stage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
        elif self._stage in WITHOUT_LIFESPAN:
            await receive()
            quieten_collector()
            scope["state"] |= self._app.state if isinstance(self._app, _Part) else {ADMISSION: Admission(512)}
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await self._app(scope, receive, partial(self._begin, scope["state"], send))

    async def _begin(self, state: dict[str, Any], send: Send, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            if self._stage in THROUGH_ASGI:
                del state[DIRECT]
            if self._stage == "parsed":
                state[DIRECT].heads.known = _Forgetful()
        await send(message)


def main() -> None:
    """Serve until SIGINT."""
    stage = sys.argv[1]
    configure_logging("info" if stage == "access-log" else "warning")
    if stage == "parser":
        httptools_impl.RequestResponseCycle = UVICORN_CYCLE  # type: ignore[misc]  # a class is assigned on purpose
    if stage == "collector":
        service.app.quieten_collector = lambda: None  # type: ignore[attr-defined]  # a function is replaced on purpose
    protocol = {"http": HttpToolsProtocol} if stage == "parser" else {}
    app = _WithLifespan(STAGES[stage](), stage)
    uvicorn.Server(server_config(app, port=int(os.environ["HEED_PORT"]), **protocol)).run()


if __name__ == "__main__":
    main()
