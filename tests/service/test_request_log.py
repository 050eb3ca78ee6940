"""Request ids, access lines, and what a bug looks like from outside."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.access_log import AccessLog
from service.app import create_app
from service.exchange import with_request
from service.metrics import Unmetered
from service.request_log import RequestLog
from service.settings import Settings
from tests.service.client import Client


@pytest.mark.parametrize("given", ["a", "x" * 128, "trace/7 of ~yesterday~", "0f8c"])
def test_sane_id_is_taken_over(client: Client, given: str) -> None:
    """Up to 128 printable characters."""
    assert client.get("/v2/health/live", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "é", "tab\there", "\x7f"])
def test_other_ids_are_replaced(client: Client, given: str) -> None:
    """What is too long or not printable is not repeated."""
    answered = client.get("/nope", headers={"X-Request-ID": given.encode()}).headers["x-request-id"]

    assert answered != given
    assert len(answered) == 32


def test_ids_differ(client: Client) -> None:
    """Every request has its own."""
    assert len({client.get("/models").headers["x-request-id"] for _ in range(20)}) == 20


def test_one_access_line_a_request(tmp_path: Path) -> None:
    """Method, path without its query, status, duration and ids, and nothing of the input."""
    with structlog.testing.capture_logs([with_request]) as lines:
        fresh = create_app(Settings(model_repository=tmp_path))
        call(fresh, "/predict/timeseries", b"label=secret", [(b"x-request-id", b"abc"), (b"traceparent", b"00-1-2-01")])

    (line,) = [line for line in lines if line["event"] == "request"]
    assert isinstance(line.pop("duration_ms"), float)
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": "/predict/timeseries",
        "status": 405,
        "request_id": "abc",
        "traceparent": "00-1-2-01",
    }


def test_bug_is_logged_and_told_without_its_inside() -> None:
    """An exception becomes a 500 problem; traceback and id are in the log, not in the answer."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("/secret/path")

    with structlog.testing.capture_logs([with_request]) as lines:
        sent = call(RequestLog(broken, AccessLog(Unmetered())), "/x", b"", [])

    assert sent[0]["status"] == 500
    assert (b"content-type", b"application/problem+json") in sent[0]["headers"]
    assert b"secret" not in sent[1]["body"]
    failure = next(line for line in lines if line["event"] == "request failed")
    assert isinstance(failure["exc_info"], KeyError)
    assert (
        failure["request_id"] == next(value for name, value in sent[0]["headers"] if name == b"x-request-id").decode()
    )


def call(app: Any, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """GET without a client, and what was sent back."""
    sent: list[Any] = []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": headers, "root_path": "", "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent
