"""One service, asked in front, behind and on a connection, by requests that no client changes."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message

from service.access_log import AccessLog
from service.front import Front
from service.metrics import Unmetered
from service.request_log import RequestLog
from tests.service.client import Client
from tests.service.connection import Connection

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

    def raw(self, *, has_id: bool) -> bytes:
        """As a client sends it."""
        own = [(b"x-request-id", b"one-id")] if has_id else []
        headers = [(b"host", b"heed"), *own, *self.headers, (b"content-length", b"%d" % len(self.body))]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method.encode(), self.target.encode(), lines, self.body)

    @property
    def is_http(self) -> bool:
        """Whether a connection can be asked this: its parser refuses some that an application would answer."""
        has_length = any(name == b"content-length" for name, _ in self.headers)
        return self.method.isupper() and self.method != "BREW" and self.target[:1] == "/" and not has_length


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


async def answer_on_connection(client: Client, root_path: str, asked: Asked) -> list[Answer]:
    """The answers to one request with an id, and twice without: the second time its head is known."""
    connection = Connection(client.app, client.state, root_path)
    raws = [asked.raw(has_id=True), *[asked.raw(has_id=False)] * 2]
    return [_read(await connection.ask(raw)) for raw in raws]


def _read(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines) if name != b"date"]
    told = sorted((name, b"" if name == TIMES else value) for name, value in headers)
    return Answer(int(status.split(b" ")[1]), told, body)


def without_id(answer: Answer) -> Answer:
    """The answer, but for the id in it."""
    headers = [(name, b"" if name == b"x-request-id" else value) for name, value in answer.headers]
    return replace(answer, headers=headers)


@dataclass(frozen=True)
class Both:
    """One service, asked in front and behind."""

    client: Client
    root_path: str

    def ask(self, asked: Asked) -> tuple[Answer, Answer]:
        """The two answers to one request; on a connection it is answered as in front."""
        in_front, behind = self.ask_scope(asked.scope(self.root_path), asked.body)
        if asked.is_http:
            first, *others = self.client.portal.call(answer_on_connection, self.client, self.root_path, asked)
            # There an answer to HEAD has no body.
            expected = replace(in_front, body=b"") if asked.method == "HEAD" else in_front
            assert first == expected
            assert [without_id(one) for one in others] == [without_id(expected)] * 2
        return in_front, behind

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
