"""One request and its answer on a connection: whole answers in one piece, and all others as HTTP has them."""

import asyncio
import http.client
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from service.access_log import AccessLog
from service.admission import ADMISSION, Admission
from service.http_protocol import HttpProtocol
from service.metrics import Unmetered
from service.request_log import RequestLog
from tests.service.connection import Transport
from tests.service.listening import Listening, listening
from tests.service.patience import A_WHILE_SECONDS, PATIENCE_SECONDS
from tests.service.wire import answer_on, asked, read_answer, until_closed

WHOLE = b'{"ready":true}'
PIECES = [b"one ", b"", b"two ", b"x" * 100_000, b" three"]


async def answer_whole(request: Request) -> Response:
    """A body whose length the head has; it repeats what came."""
    return Response(await request.body() or WHOLE, media_type="application/json")


async def answer_and_close(_: Request) -> Response:
    """As it is told to who shall not ask here again."""
    return Response(WHOLE, headers={"Connection": "close"})


async def answer_in_pieces(request: Request) -> StreamingResponse:
    """Without a length, or with one that is right, too long or too short."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in PIECES:
            await asyncio.sleep(0)
            yield piece

    length = request.query_params.get("length")
    return StreamingResponse(pieces(), headers={} if length is None else {"Content-Length": length})


async def answer_with_nothing(request: Request) -> Response:
    """A status that has no body."""
    return Response(status_code=int(request.query_params["status"]))


async def break_after_head(scope: Scope, receive: Receive, send: Send) -> None:
    """A bug between the head of an answer and its body."""
    await begin_and_return(scope, receive, send)
    raise KeyError("a bug")


async def begin_and_return(_: Scope, __: Receive, send: Send) -> None:
    """An answer that is never ended."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Admission]]:
    """What the connections need of an application."""
    yield {ADMISSION: Admission(1000)}


@pytest.fixture(scope="module")
def served() -> Iterator[Listening]:
    """An application that answers in every way there is."""
    app = Starlette(
        routes=[
            Route("/whole", answer_whole, methods=["GET", "POST"]),
            Route("/close", answer_and_close),
            Route("/pieces", answer_in_pieces),
            Route("/nothing", answer_with_nothing),
            Mount("/broken", break_after_head),
            Mount("/logged", RequestLog(break_after_head, AccessLog(Unmetered()))),
            Mount("/unended", begin_and_return),
        ],
        lifespan=lifespan,
    )
    with listening(app) as server:
        yield server


def test_whole_answer_comes_in_one_piece(served: Listening) -> None:
    """Head and body are there together, on every request of a connection."""
    with served.connected() as connection:
        pieces = []
        for _ in range(100):
            connection.sendall(asked("/whole"))
            pieces.append(connection.recv(65536))

    assert all(piece.startswith(b"HTTP/1.1 200 OK\r\n") and piece.endswith(b"\r\n\r\n" + WHOLE) for piece in pieces)


def written(*data: bytes) -> list[bytes]:
    """The pieces that are written for this data, until the connection is closed."""

    async def converse() -> list[bytes]:
        app = Starlette(routes=[Route("/whole", answer_whole, methods=["GET", "POST"])])
        config = uvicorn.Config(app, http=HttpProtocol, log_config=None, access_log=False)
        protocol, transport = HttpProtocol(config, ServerState(), {ADMISSION: Admission(1000)}), Transport()
        protocol.connection_made(transport)
        for one in data:
            protocol.data_received(one)
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await transport.closed.wait()
        return transport.pieces

    return asyncio.run(converse())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("requests", [1, 3])
def test_whole_answer_is_written_once(version: str, requests: int) -> None:
    """One system call for each, the last one's too."""
    pieces = written(
        *[asked("/whole")] * (requests - 1),
        asked("/whole", "Connection: close", version=version),
    )

    assert len(pieces) == requests
    assert all(piece.endswith(WHOLE) for piece in pieces)


def test_body_that_is_waited_for_is_asked_for() -> None:
    """100 Continue comes first, then the answer whole."""
    head = asked("/whole", "Expect: 100-continue", "Content-Length: 3", "Connection: close", method="POST")

    pieces = written(head, b"abc")

    assert pieces[0] == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert pieces[1].endswith(b"\r\n\r\nabc")
    assert len(pieces) == 2


@pytest.mark.parametrize("target", ["/whole", "/pieces", f"/pieces?length={len(b''.join(PIECES))}"])
def test_head_has_no_body(served: Listening, target: str) -> None:
    """And the next request on the connection is answered: no byte of one was taken for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_SECONDS)
    connection.request("HEAD", target)
    head = connection.getresponse()
    nothing = head.read()
    connection.request("GET", "/whole")
    next_answer = connection.getresponse().read()
    connection.close()

    assert (head.status, nothing, next_answer) == (200, b"", WHOLE)


@pytest.mark.parametrize("status", [204, 304])
def test_answer_without_a_body_has_none(served: Listening, status: int) -> None:
    """Not a byte between its head and the next answer's."""
    with served.connected() as connection:
        connection.sendall(asked(f"/nothing?status={status}") + asked("/whole", "Connection: close"))
        first, second, body = until_closed(connection).split(b"\r\n\r\n")

    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert b"transfer-encoding" not in first
    assert second.startswith(b"HTTP/1.1 200 ")
    assert body == WHOLE


@pytest.mark.parametrize(
    "request_head",
    [
        asked("/whole", "Connection: close"),
        asked("/whole", version="1.0"),
        asked("/close"),
        asked("/pieces", "Connection: close"),
        asked("/nothing?status=204", "Connection: close"),
        asked("/whole", "Connection: close", method="HEAD"),
    ],
)
def test_last_answer_says_so_and_the_connection_ends(served: Listening, request_head: bytes) -> None:
    """Whoever wanted it, the client, its version or the application; the header stands there once."""
    with served.connected() as connection:
        connection.sendall(request_head)
        head = until_closed(connection).partition(b"\r\n\r\n")[0].lower()

    assert head.count(b"\r\nconnection: close") == 1


def test_pipelined_requests_are_answered_in_their_order(served: Listening) -> None:
    """Whole and streamed ones mixed, as a stock client reads them one after another."""
    bodies = [b"%d" % number for number in range(20)]
    requests = [asked("/whole", f"Content-Length: {len(body)}", method="POST") + body for body in bodies]
    with served.connected() as connection:
        connection.sendall((asked("/pieces") + asked("/whole", method="HEAD")).join(requests) + asked("/close"))
        with connection.makefile("rb") as file:
            answers = [read_answer(file, method) for method in [*["POST", "GET", "HEAD"] * 19, "POST", "GET"]]

    assert [status for status, _ in answers] == [200] * 59
    assert [body for _, body in answers[::3]] == bodies
    assert answers[1:-1:3] == [(200, b"".join(PIECES))] * 19
    assert answers[2::3] == [(200, b"")] * 19
    assert answers[-1] == (200, WHOLE)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("length", ["", f"?length={len(b''.join(PIECES))}"])
def test_streamed_answer_is_whole(served: Listening, length: str, version: str) -> None:
    """In chunks or with its length, piece by piece; a client of HTTP/1.0 reads until the end."""
    with served.connected() as connection:
        connection.sendall(asked(f"/pieces{length}", "Connection: close", version=version))
        answer = answer_on(connection)

    assert answer == (200, b"".join(PIECES))


def test_first_piece_is_sent_before_the_last_is_made() -> None:
    """A stream is one: nobody waits for its end."""
    may_end = threading.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.to_thread(may_end.wait)
        yield b"last"

    app = Starlette(routes=[Route("/", lambda _: StreamingResponse(pieces()))], lifespan=lifespan)
    with listening(app) as server, server.connected() as connection:
        connection.sendall(asked("/", "Connection: close"))
        came = b""
        while b"first" not in came:
            came += connection.recv(65536)
        may_end.set()
        rest = until_closed(connection)

    assert b"last" not in came
    assert rest.endswith(b"4\r\nlast\r\n0\r\n\r\n")


@pytest.mark.parametrize("target", ["/pieces?length=7", "/pieces?length=900000"])
def test_stream_of_another_length_ends_the_connection(served: Listening, target: str) -> None:
    """Too long or too short for its head: the client is told by the end that it has not all, or more than that."""
    with served.connected() as connection:
        connection.settimeout(A_WHILE_SECONDS)
        connection.sendall(asked(target))

        assert until_closed(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("target", ["/broken/", "/logged/", "/unended/"])
def test_answer_that_is_never_ended_ends_the_connection(served: Listening, target: str) -> None:
    """A bug after the head was given: nobody waits for the body, or is told that all is well."""
    with served.connected() as connection:
        connection.settimeout(A_WHILE_SECONDS)
        connection.sendall(asked(target))

        assert until_closed(connection).startswith(b"HTTP/1.1 500 ")


def test_client_that_reads_late_gets_all(served: Listening) -> None:
    """Megabytes of pipelined answers, none of which is read before the last request was sent."""
    body = b"x" * 200_000
    request = asked("/whole", f"Content-Length: {len(body)}", method="POST") + body
    with served.connected() as connection:
        sender = threading.Thread(target=connection.sendall, args=(request * 30,))
        sender.start()
        # By then it is done or stuck: both are answered.
        sender.join(0.2)
        with connection.makefile("rb") as file:
            answers = [read_answer(file) for _ in range(30)]
        sender.join()

    assert answers == [(200, body)] * 30
