"""Requests that came whole, answered by the connection: whose head came before is not parsed again."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from service.admission import BEGUN_IN_A_TURN
from service.direct import Direct
from service.http_protocol import DIRECT
from service.known_heads import LONGEST_KNOWN, MOST_KNOWN
from service.metrics import Metrics
from tests.service.client import Client
from tests.service.conftest import KEY, SERIES
from tests.service.connection import Connection

Result = TypeVar("Result")


def body_of(first: float) -> bytes:
    """A series, told from others by its first number; all are as long."""
    return json.dumps({"sequence": [[first, 1.0], *SERIES[1:]]}).encode()


def request(body: bytes, *lines: str, path: str = "/predict/timeseries", length: int | None = None) -> bytes:
    """As a client sends it."""
    told = len(body) if length is None else length
    head = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {KEY}", f"Content-Length: {told}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


class Unparsed:
    """In the parser's place: nothing is parsed any more."""

    def feed_data(self, data: bytes) -> None:
        """Never asked."""
        raise AssertionError(f"parsed again: {data!r}")


def on_connection(keyed: Client, talk: Callable[[Connection], Awaitable[Result]]) -> Result:
    """What comes of a talk on a new connection."""

    async def talking() -> Result:
        return await talk(Connection(keyed.app, keyed.state))

    return keyed.portal.call(talking)


def document_of(answer: bytes) -> Any:
    """The answer's JSON, without the status."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def expected(keyed: Client, body: bytes) -> Any:
    """What a client of the application is told."""
    return keyed.post("/predict/timeseries", content=body, headers={"X-API-Key": KEY}).json()


def test_head_is_parsed_once(keyed: Client, direct: Direct) -> None:
    """The next request has its own answer, by its own body, and an id of its own; on another connection too."""
    bodies = [body_of(number) for number in (1.5, 2.5, 3.5)]

    async def talk(connection: Connection) -> list[bytes]:
        first = await connection.ask(request(bodies[0]))
        others = [connection, Connection(keyed.app, keyed.state)]
        for other in others:
            other.protocol.parser = Unparsed()  # type: ignore[assignment]
        return [first, *[await other.ask(request(body)) for other, body in zip(others, bodies[1:], strict=True)]]

    answers = on_connection(keyed, talk)

    assert [document_of(answer) for answer in answers] == [expected(keyed, body) for body in bodies]
    assert len({line for one in answers for line in one.split(b"\r\n") if line.startswith(b"x-request-id")}) == 3


@pytest.mark.parametrize(
    "asked",
    [
        request(body_of(1.5), "X-Request-ID: mine", "X-Request-ID: mine"),
        request(body_of(1.5), f"X-Request-ID: {'x' * 129}"),
        request(body_of(1.5), "X-Request-ID:mine"),
        request(body_of(1.5), "traceparent: 00 1 1 00"),
        request(body_of(1.5), "Expect: 100-continue"),
        request(body_of(1.5), "Connection: close"),
        request(body_of(1.5), f"X-Long: {'x' * LONGEST_KNOWN}"),
        request(body_of(1.5)).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(body_of(1.5), "Accept: text/html"),
        request(body_of(1.5), "X-Request-Timeout-Ms: 0"),
        request(body_of(1.5), path="/predict/timeseries?nope=1"),
        request(body_of(1.5), path="/predict/nope"),
        request(body_of(1.5)).replace(KEY.encode(), b"another-key"),
    ],
)
def test_some_heads_are_never_known(keyed: Client, direct: Direct, asked: bytes) -> None:
    """Those that are one request's own, end the connection, are refused, or are no ordinary ones; they are answered."""
    statuses = [on_connection(keyed, lambda connection: connection.ask(asked))[9:12] for _ in range(2)]

    assert not direct.heads.known
    assert statuses[0] == statuses[1]


def test_body_in_chunks_is_never_taken_for_a_length(keyed: Client, direct: Direct) -> None:
    """Its head says nothing of the next request's length."""
    body = body_of(1.5)
    chunked = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    asked = chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    answers = [on_connection(keyed, lambda connection: connection.ask(asked)) for _ in range(2)]

    assert not direct.heads.known
    assert [document_of(answer) for answer in answers] == [expected(keyed, body)] * 2


@pytest.mark.parametrize("cut", [1, 20, -30, -1])
def test_known_head_in_two_pieces(keyed: Client, direct: Direct, cut: int) -> None:
    """Wherever it is cut, the request is answered once, and so is the next one."""
    body = body_of(2.5)

    async def talk(connection: Connection) -> list[bytes]:
        await connection.ask(request(body_of(1.5)))
        connection.send(request(body)[:cut])
        second = await connection.ask(request(body)[cut:])
        return [second, await connection.ask(request(body_of(3.5)))]

    answers = on_connection(keyed, talk)

    assert [document_of(answer) for answer in answers] == [expected(keyed, body), expected(keyed, body_of(3.5))]


@pytest.mark.parametrize("count", [2, 40, 400])
def test_known_heads_in_one_piece(keyed: Client, direct: Direct, count: int) -> None:
    """Pipelined: each is answered, in their order, and none within another's end."""
    bodies = [body_of(1.5 + number / 4) for number in range(count)]

    async def talk(connection: Connection) -> list[bytes]:
        await connection.ask(request(body_of(1.5)))
        connection.send(b"".join(map(request, bodies)))
        return await connection.answers(count)

    answers = on_connection(keyed, talk)

    told = [document_of(answer)["prediction"]["score"] for answer in answers]
    assert told == [expected(keyed, body)["prediction"]["score"] for body in bodies[: len(told)]]
    assert len(told) == count


def test_more_than_a_known_request(keyed: Client, direct: Direct) -> None:
    """What is no HTTP behind it is told as such, after its answer."""

    async def talk(connection: Connection) -> bytes:
        await connection.ask(request(body_of(1.5)))
        connection.send(request(body_of(2.5)) + b"\x00\x01")
        return b"".join(await connection.answers(2))

    good, bad = on_connection(keyed, talk).split(b"HTTP/1.1 400 ")

    assert good.startswith(b"HTTP/1.1 200 ")
    assert document_of(good) == expected(keyed, body_of(2.5))
    assert document_of(bad)["type"] == "urn:heed:problem:malformed-request"


def test_wrong_body_behind_a_known_head(keyed: Client, direct: Direct) -> None:
    """Each body is read: what is wrong with it is told, and the connection goes on."""
    wrong = b'{"sequence": "' + b"x" * (len(body_of(1.5)) - 16) + b'"}'

    async def talk(connection: Connection) -> list[bytes]:
        return [await connection.ask(request(body)) for body in (body_of(1.5), wrong, body_of(2.5))]

    _, refused, good = on_connection(keyed, talk)

    assert len(wrong) == len(body_of(1.5))
    assert refused.startswith(b"HTTP/1.1 422 ")
    assert document_of(good) == expected(keyed, body_of(2.5))


def test_known_head_with_another_key(keyed: Client, direct: Direct) -> None:
    """Who has no key is not let in by a head that only looks like one that was."""
    good = request(body_of(1.5))

    async def talk(connection: Connection) -> list[bytes]:
        return [await connection.ask(one) for one in (good, good.replace(KEY.encode(), KEY[::-1].encode()), good)]

    assert [answer[9:12] for answer in on_connection(keyed, talk)] == [b"200", b"401", b"200"]


def test_known_heads_are_bounded(keyed: Client, direct: Direct) -> None:
    """However many there are."""

    async def talk(connection: Connection) -> int:
        for number in range(MOST_KNOWN + 10):
            await connection.ask(request(b"{}", f"X-Number: {number}"))
        return len(direct.heads.known)

    assert 0 < on_connection(keyed, talk) <= MOST_KNOWN


def test_nothing_of_a_client_is_kept(keyed: Client, direct: Direct) -> None:
    """Neither its address nor what its request was."""
    on_connection(keyed, lambda connection: connection.ask(request(body_of(1.5))))

    (known,) = direct.heads.known.values()
    assert not {"client", "server", "state"} & known.scope.keys()


def test_known_head_is_refused_where_no_place_is(keyed: Client, direct: Direct) -> None:
    """As any other, and answered once there is one."""

    async def talk(connection: Connection) -> list[bytes]:
        first = await connection.ask(request(body_of(1.5)))
        direct.admission.waiting += direct.admission.capacity
        refused = await connection.ask(request(body_of(1.5)))
        direct.admission.waiting -= direct.admission.capacity
        others = [await Connection(keyed.app, keyed.state).ask(request(body_of(1.5)))]
        return [first, refused, *others]

    first, refused, again = on_connection(keyed, talk)

    assert [one[9:12] for one in (first, refused, again)] == [b"200", b"503", b"200"]
    assert b"\r\nretry-after: 1\r\n" in refused
    assert document_of(refused)["type"] == "urn:heed:problem:overloaded"


def test_who_left_while_in_line_is_not_answered(keyed: Client, direct: Direct) -> None:
    """Nothing is run for it, whether its head is known or not; both are told as gone."""

    async def talk(connection: Connection) -> tuple[float, float]:
        await connection.ask(request(body_of(1.5)))
        before = counted(keyed, "gone")
        others = [Connection(keyed.app, keyed.state) for _ in range(2)]
        for _ in range(BEGUN_IN_A_TURN):
            Connection(keyed.app, keyed.state).send(request(body_of(1.5)))
        others[0].send(request(body_of(2.5)))
        others[1].send(request(body_of(2.5), "X-Request-ID: mine"))
        for other in others:
            other.protocol.connection_lost(None)
        await connection.ask(request(body_of(3.5)))
        assert not any(other.transport.pieces for other in others)
        return before, counted(keyed, "gone")

    before, after = on_connection(keyed, talk)

    assert after - before == 2


def counted(keyed: Client, outcome: str) -> float:
    """So many requests ended so, as the metrics of this process have it."""
    metrics: Metrics = keyed.state[DIRECT].access_log._metrics
    metrics.count()
    samples = [it for it in metrics.samples() if it[0].endswith("requests_total") and it[1]["outcome"] == outcome]
    return sum(value for _, _, value in samples)


def test_draining_ends_a_known_connection(keyed: Client, direct: Direct) -> None:
    """Its last answer says so."""

    async def talk(connection: Connection) -> bytes:
        await connection.ask(request(body_of(1.5)))
        connection.protocol.shutdown()
        return await connection.ask(request(body_of(1.5)))

    answer = on_connection(keyed, talk)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer
