"""One connection: pipelined requests before garbage, and clients that stop sending."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.processes import greeting, port_of, process
from tests.service.wire import BODY, HEAD, connected, until_closed


@pytest.fixture(scope="module")
def port(repository: Path) -> Iterator[int]:
    """One process for all tests here."""
    with process(repository) as started:
        yield port_of(greeting(started))


@pytest.mark.parametrize("requests", [1, 3])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"garbage\r\n\r\n", b"400"),
        (b"GET /models HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked") + b"no size\r\n", b"400"),
        (b"GET /" + b"a" * 300_000, b"431"),
    ],
)
def test_requests_before_garbage_are_answered(port: int, requests: int, rest: bytes, status: bytes) -> None:
    """Those that came whole have their answers, in order, before the complaint; then the connection ends."""
    with connected(port) as connection:
        connection.sendall((HEAD + BODY) * requests + rest)
        answers = until_closed(connection).split(b"HTTP/1.1 ")[1:]

    assert [answer[:3] for answer in answers] == [b"200"] * requests + [status]


@pytest.mark.parametrize("sent", [b"", b"GET /mod", HEAD + BODY[:20]])
def test_client_that_sends_no_more_and_is_owed_nothing_is_let_go(port: int, sent: bytes) -> None:
    """Idle, in its head or in its body: closed, without an answer."""
    with connected(port) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)

        assert until_closed(connection) == b""


def test_idle_connection_that_was_answered_is_let_go(port: int) -> None:
    """Kept alive until the client stops sending."""
    with connected(port) as connection:
        connection.sendall(HEAD + BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.shutdown(socket.SHUT_WR)

        assert b"HTTP/1.1" not in until_closed(connection)
