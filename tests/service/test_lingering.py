"""Refused before the body was read: the rest is read for a time, so that the answer can be, and no longer."""

import asyncio
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.http_closing import LINGERING_SECONDS
from service.http_protocol import HttpProtocol
from service.settings import Settings
from tests.service.listening import Listening, listening
from tests.service.patience import A_WHILE_SECONDS, PATIENCE_SECONDS, wait_until
from tests.service.wire import BODY, answer_on, asked, read_answer, until_closed

KEY = "a-key-of-the-tests"
LIMIT = 100_000
# More than what the sockets' buffers hold: who sends it whole before it reads the answer needs somebody who reads.
LONG = 20 * 2**20
OPENED = f"X-API-Key: {KEY}"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def service(one_model: Path) -> Iterator[Listening]:
    """A service with a key and a short limit, whose idle connections end after a second."""
    settings = Settings(model_repository=one_model, api_keys=SecretStr(KEY), max_body_bytes=LIMIT)
    with listening(create_app(settings), keep_alive_seconds=1) as server:
        wait_until(lambda: ready(server) == 200)
        yield server


def ready(server: Listening) -> int:
    """What is said to who asks."""
    with server.connected() as connection:
        connection.sendall(asked("/v2/health/ready"))
        return answer_on(connection)[0]


def head(*lines: str) -> bytes:
    """A prediction's."""
    return asked("/predict/timeseries", *lines, method="POST")


def chunk(body: bytes) -> bytes:
    """As it is sent where there is no length."""
    return b"%x\r\n%s\r\n" % (len(body), body)


REFUSED = [
    (401, head(f"Content-Length: {LONG}"), bytes(LONG)),
    (401, head(CHUNKED), chunk(bytes(LONG)) + chunk(b"")),
    (413, head(OPENED, f"Content-Length: {LONG}"), bytes(LONG)),
    (413, head(OPENED, CHUNKED), chunk(bytes(LIMIT + 1)) + chunk(bytes(LONG)) + chunk(b"")),
    (422, head(OPENED, "X-Request-Timeout-Ms: x", f"Content-Length: {LONG}"), bytes(LONG)),
    (405, asked("/predict/timeseries", f"Content-Length: {LONG}", method="PUT"), bytes(LONG)),
    (404, asked("/nope", f"Content-Length: {LONG}", method="POST"), bytes(LONG)),
]


@pytest.mark.parametrize(("status", "refused", "body"), REFUSED, ids=range(len(REFUSED)))
def test_who_sends_on_can_read_the_answer(service: Listening, status: int, refused: bytes, body: bytes) -> None:
    """Though it reads nothing before all is sent; its connection goes on, and its next request is answered."""
    with service.connected() as connection:
        connection.sendall(refused + body)
        told, document = answer_on(connection)
        connection.sendall(head(OPENED, f"Content-Length: {len(BODY)}") + BODY)
        next_answer = answer_on(connection)

    assert told == json.loads(document)["status"] == status
    assert next_answer[0] == 200
    assert b'"prediction"' in next_answer[1]


@pytest.mark.parametrize(("lines", "version"), [(("Connection: close",), "1.1"), ((), "1.0")])
def test_who_wants_no_other_answer_can_read_this_one(service: Listening, lines: tuple[str, ...], version: str) -> None:
    """Its connection ends with the answer, and may be reset while it sends on; the answer is there all the same."""
    refused = asked("/predict/timeseries", *lines, f"Content-Length: {LONG}", method="POST", version=version)
    with service.connected() as connection:
        with suppress(ConnectionError):
            connection.sendall(refused + bytes(LONG))
        status, _ = answer_on(connection)

    assert status == 401


@pytest.mark.parametrize("lines", [(f"Content-Length: {LONG}",), (CHUNKED,)])
def test_answer_is_there_before_the_body(service: Listening, lines: tuple[str, ...]) -> None:
    """For the head alone; a client that waits for it need not send anything else."""
    with service.connected() as connection:
        connection.sendall(head("Expect: 100-continue", *lines))
        status, _ = answer_on(connection)

    assert status == 401


def test_requests_behind_a_refused_one_are_answered(service: Listening) -> None:
    """Sent with it, in one piece: each has its answer, in their order."""
    good = head(OPENED, f"Content-Length: {len(BODY)}") + BODY
    refused = head(f"Content-Length: {len(BODY)}") + BODY
    with service.connected() as connection:
        connection.sendall(refused + good + refused + refused + good)
        with connection.makefile("rb") as file:
            statuses = [read_answer(file)[0] for _ in range(5)]

    assert statuses == [401, 200, 401, 401, 200]


def test_rest_that_comes_in_time_leaves_an_ordinary_connection(service: Listening) -> None:
    """It ends as every idle one does, whether the body was read for its answer or after it."""
    length = f"Content-Length: {len(BODY)}"
    with service.connected() as ordinary, service.connected() as refused:
        ordinary.sendall(head(OPENED, length) + BODY)
        refused.sendall(head(length) + BODY[:10])
        told = [answer_on(ordinary)[0], answer_on(refused)[0]]
        refused.sendall(BODY[10:])
        for connection in (ordinary, refused):
            connection.settimeout(A_WHILE_SECONDS)
        ends = [ordinary.recv(1), refused.recv(1)]

    assert told == [200, 401]
    assert ends == [b"", b""]


class Insistent(threading.Thread):
    """A client that is refused and sends on. Notes what it was told, and after how long its connection ended."""

    def __init__(self, server: Listening, refused: bytes, piece: bytes, pause_seconds: float) -> None:
        super().__init__()
        self._server = server
        self._refused = refused
        self._piece = piece
        self._pause_seconds = pause_seconds
        self.status = 0
        self.seconds = 0.0

    def run(self) -> None:
        """Send a piece, and another, until the server has closed."""
        began = time.monotonic()
        with self._server.connected() as connection:
            connection.sendall(self._refused)
            self.status, _ = answer_on(connection)
            while not self._is_ended(connection) and time.monotonic() < began + PATIENCE_SECONDS:
                pass
        self.seconds = time.monotonic() - began

    def _is_ended(self, connection: socket.socket) -> bool:
        try:
            connection.sendall(self._piece)
            is_readable = bool(select.select([connection], [], [], self._pause_seconds)[0])
            return is_readable and connection.recv(1) == b""
        except ConnectionError:
            return True


def test_who_sends_for_ever_is_cut_off(service: Listening) -> None:
    """Byte by byte or as fast as it can, with a length or in chunks; who has sent the rest meanwhile is not."""
    endless = f"Content-Length: {10**12}"
    insistent = [
        Insistent(service, head(endless), b"x", 0.1),
        Insistent(service, head(OPENED, endless), b"x", 0.1),
        Insistent(service, head(CHUNKED), chunk(b"x"), 0.1),
        Insistent(service, head(endless), bytes(100_000), 0.01),
    ]
    for one in insistent:
        one.start()
    with service.connected() as connection:
        connection.sendall(head(f"Content-Length: {len(BODY)}"))
        told = [answer_on(connection)[0]]
        connection.sendall(BODY)
        while any(one.is_alive() for one in insistent):
            connection.sendall(head(OPENED, f"Content-Length: {len(BODY)}") + BODY)
            told.append(answer_on(connection)[0])
            time.sleep(0.1)

    assert [one.status for one in insistent] == [401, 413, 401, 401]
    # Its clock may be read a little before ours.
    assert all(LINGERING_SECONDS - 0.5 < one.seconds < PATIENCE_SECONDS for one in insistent)
    assert told == [401] + [200] * (len(told) - 1)


def test_connection_is_kept_from_its_last_answer_on(one_model: Path) -> None:
    """A request in between begins the time anew; then it is closed, with nothing more said."""
    app = create_app(Settings(model_repository=one_model))
    with listening(app, keep_alive_seconds=1) as server, server.connected() as connection:
        for seconds in (0, 0.6, 0.6):
            time.sleep(seconds)
            connection.sendall(asked("/v2/health/live"))
            assert answer_on(connection)[0] == 200
        began = time.monotonic()
        rest = until_closed(connection)
        seconds = time.monotonic() - began

    assert rest == b""
    assert seconds < PATIENCE_SECONDS


@pytest.mark.parametrize("is_stopping", [False, True])
def test_request_that_came_while_others_were_closed_is_answered(one_model: Path, is_stopping: bool) -> None:
    """The time of many idle connections may be over at once: what comes until it is one's turn is not thrown away."""
    service = create_app(Settings(model_repository=one_model))
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        may_go_on.wait(PATIENCE_SECONDS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/busy":
            while is_stopping and not all(draining(one) for one in server.server.server_state.connections):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            # Once the loop goes on, it is as late for this as for the idle connection, and this comes first.
            asyncio.get_running_loop().call_later(0.01, hold)
            time.sleep(1.1)  # noqa: ASYNC251  # it is held up on purpose
        await service(scope, receive, send)

    with listening(app, keep_alive_seconds=1) as server, server.connected() as idle, server.connected() as other:
        idle.sendall(asked("/v2/health/live"))
        assert answer_on(idle)[0] == 200
        other.sendall(asked("/busy"))
        server.server.should_exit = is_stopping
        assert is_held.wait(PATIENCE_SECONDS)
        idle.sendall(asked("/v2/health/live"))
        may_go_on.set()

        assert [answer_on(one)[0] for one in (other, idle)] == [404, 200]
        assert until_closed(idle) == b""


def draining(connection: object) -> bool:
    """Whether it was told that the server stops."""
    assert isinstance(connection, HttpProtocol)
    return connection._is_draining  # nobody else is told
