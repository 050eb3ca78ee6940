"""One service, asked in front and behind, by requests as the connection has them: no client changes them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message

from service.access_log import AccessLog
from service.front import Front
from service.metrics import Unmetered
from service.request_log import RequestLog
from tests.service.client import Client

KEY = "a-key-of-the-tests"
OPENED = (b"x-api-key", KEY.encode())
JSON = (b"content-type", b"application/json")
# How long it took differs from one answer to the next.
TIMES = b"server-timing"


@dataclass(frozen=True)
class Asked:
    """A request as it comes from the connection; its id is given, so that no other is made."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (OPENED, JSON)

    def scope(self, root_path: str) -> dict[str, Any]:
        """As uvicorn makes it where a proxy in front has taken the root path off."""
        path, _, query = self.target.partition("?")
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "method": self.method, "path": root_path + unquote(path), "raw_path": (root_path + path).encode(),
            "root_path": root_path, "query_string": query.encode(),
            "headers": [(b"host", b"heed"), (b"x-request-id", b"one-id"), *self.headers],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came back. Of the times only their header's name is kept."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def answer(app: ASGIApp, scope: dict[str, Any], body: bytes) -> Answer:
    """The application's answer, without a client that would change the request."""
    to_app: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return to_app.pop() if to_app else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**scope, "state": {}}, receive, send)
    headers = sorted((name, b"" if name == TIMES else value) for name, value in sent[0]["headers"])
    return Answer(sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent[1:]))


@dataclass(frozen=True)
class Both:
    """One service, asked in front and behind."""

    client: Client
    root_path: str

    def ask(self, asked: Asked) -> tuple[Answer, Answer]:
        """The two answers to one request."""
        return self.ask_scope(asked.scope(self.root_path), asked.body)

    def ask_scope(self, scope: dict[str, Any], body: bytes = b"") -> tuple[Answer, Answer]:
        """The two answers to what the connection made of a request."""
        in_front = self.client.app
        assert isinstance(in_front, RequestLog)
        assert isinstance(in_front._app, Front)
        application = in_front._app._app
        assert isinstance(application, FastAPI)
        behind = RequestLog(application, AccessLog(Unmetered()))
        one, other = (self.client.portal.call(answer, app, scope, body) for app in (in_front, behind))
        return one, other
