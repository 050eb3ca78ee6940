"""Heads that differ in their ids alone: one of them is parsed, and each request goes by its own."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.admission import BEGUN_IN_A_TURN
from service.direct import Direct
from service.exchange import with_request
from service.http_protocol import DIRECT
from service.known_heads import MOST_KNOWN, MOST_SPELLINGS, KnownHeads
from tests.service.client import Client
from tests.service.conftest import KEY, SERIES
from tests.service.connection import Connection
from tests.service.inference import INFER, binary_series
from tests.service.test_direct import Unparsed, body_of, expected, on_connection, request

NEW_ID = re.compile(r"[0-9a-f]{32}")
# As a line's, where it has none.
NONE = ""
LINE = b"\r\nX-Request-ID: of-the-body\r\n"
# How clients send their ids.
SHAPES = [
    ["X-Request-ID: {id}"],
    ["x-request-id: {id}"],
    ["X-REQUEST-ID: {id}", "Accept: */*"],
    ["traceparent: {trace}"],
    ["X-Request-ID: {id}", "traceparent: {trace}"],
    ["Traceparent: {trace}", "Accept: */*", "X-Request-Id: {id}"],
    ["traceparent: {trace}", "x-request-id: {id}"],
    [],
]
# What nobody means to send, or what only looks like an id's line.
ODD_LINES = [
    *[f"X-Request-ID: {value}" for value in ("", "x" * 129, "a\x01b", "a\x00b", "a\tb", "a\x7f", "é", "x ", "x\t")],
    *["X-Request-ID:", "X-Request-ID:x", "X-Request-ID:  x", "X-Request-ID: \tx", "X-Request-ID:\tx"],
    *["X-Request-ID : x", "X-Request-ID x", "XX-Request-ID: x", "X-Request-ID2: x", "traceparent2: x"],
    *["X-Request-ID: a\r\n b", "X-Request-ID: a\r\n\tb", "X-Request-ID: \r\n b", "X-Other: a\r\n X-Request-ID: b"],
    *["X-Request-ID: a\nX-Other: b", "X-Request-ID: a\rX-Other: b", "X-Other: a\nX-Request-ID: b"],
    *["X-Request-ID: a\r\nX-Request-ID: a", "X-Request-ID: a\r\nX-Request-ID: b", "X-Request-ID: a\r\nX-Request-ID: "],
    *["X-Request-ID: a\r\nx-request-id: b", "X-Request-ID: \r\nx-request-id: b", "X-Request-ID: a\r\nX-Request-ID:b"],
    *["X-Other: X-Request-ID: x", "X-Request-ID: X-Request-ID: x", "X-Request-ID: traceparent: x"],
    *["traceparent: ", "traceparent: 00 1", f"traceparent: {'0' * 257}", "traceparent: é", "traceparent:x"],
    *["traceparent: a\r\ntraceparent: b", "traceparent: \r\ntraceparent: b", "traceparent: a\r\nTraceparent: b"],
    *["X-Request-ID: a\r\ntraceparent: ", "X-Request-ID: \r\ntraceparent: b", "X-Request-ID: \r\ntraceparent: "],
    *["X-Request-ID: a\r\ntraceparent: 0 0", "X-Request-ID: é\r\ntraceparent: b", "traceparent: \r\nx-request-id: "],
]


class Told(NamedTuple):
    """What a client is told, and the log; the id where it is the client's own, the trace where there is a line."""

    status: int
    document: Any
    request_id: str
    trace: str | None


def told(keyed: Client, asked: Sequence[bytes], parsed: int | None = None) -> list[Told]:
    """On one connection, or on the next where it was closed; no more than the first so many may be parsed."""
    return _told(keyed, keyed.state, asked, len(asked) if parsed is None else parsed)


def told_by_asgi(keyed: Client, asked: Sequence[bytes]) -> list[Told]:
    """By a connection that parses everything and answers nothing itself."""
    return _told(keyed, {name: it for name, it in keyed.state.items() if name != DIRECT}, asked, len(asked))


def _told(keyed: Client, state: dict[str, Any], asked: Sequence[bytes], parsed: int) -> list[Told]:
    async def talk(connection: Connection) -> list[Told]:
        answers = []
        for number, one in enumerate(asked):
            if number == 0 or connection.transport.is_closing():
                connection = Connection(keyed.app, state)
            if number >= parsed:
                connection.protocol.parser = Unparsed()  # type: ignore[assignment]
            lines.clear()
            answers.append(_read(await connection.ask(one), lines))
        return answers

    with structlog.testing.capture_logs([with_request]) as lines:
        return on_connection(keyed, talk)


def _read(answer: bytes, lines: Sequence[Any]) -> Told:
    head, _, content = answer.partition(b"\r\n\r\n")
    (request_id,) = (line[14:].decode() for line in head.split(b"\r\n") if line.startswith(b"x-request-id: "))
    (trace,) = [line.get("traceparent", NONE) for line in lines if line["event"] == "request"] or [None]
    assert {line["request_id"] for line in lines} <= {request_id}
    own = NONE if NEW_ID.fullmatch(request_id) else request_id
    return Told(int(head[9:12]), json.loads(content), own, trace)


def of_shape(shape: Sequence[str], number: int, request_id: str, trace: str) -> bytes:
    """A request with its ids as one client sends them, and with a body of its own."""
    return request(body_of(number + 0.5), *[line.format(id=request_id, trace=trace) for line in shape])


def test_own_id_and_trace_behind_a_known_head(keyed: Client, direct: Direct) -> None:
    """Of any length and in any order; each client's head is parsed once, and a request without ids has a new one."""
    ids = ["first", "2", "x" * 128, "an id of words"]
    asked: list[bytes] = []
    meant: list[Told] = []
    for request_id in ids:
        for shape in SHAPES:
            number, trace = len(asked) % 9, f"00-{len(asked)}-01"
            asked.append(of_shape(shape, number, request_id, trace))
            lines = "".join(shape)
            own = request_id if "{id}" in lines else NONE
            document = expected(keyed, body_of(number + 0.5))
            meant.append(Told(200, document, own, trace if "{trace}" in lines else NONE))

    assert told(keyed, asked, parsed=len(SHAPES)) == meant


def test_new_ids_differ(keyed: Client, direct: Direct) -> None:
    """They are not made when the head is kept."""

    async def talk(connection: Connection) -> list[bytes]:
        asked = [of_shape(SHAPES[3], 1, NONE, f"00-{number}-01") for number in range(9)]
        return [await connection.ask(one) for one in asked]

    answers = on_connection(keyed, talk)

    assert len({line for it in answers for line in it.split(b"\r\n") if line.startswith(b"x-request-id")}) == 9


def test_own_ids_where_no_place_is(keyed: Client, direct: Direct) -> None:
    """Refused at once, and after the pause that who was refused before has: in the answer and in the log."""
    asked = [of_shape(SHAPES[4], number, f"id-{number}", f"00-{number}-01") for number in range(3)]
    told(keyed, asked[:1])
    direct.admission.waiting += direct.admission.capacity
    known = told(keyed, asked[1:], parsed=0)
    parsed = told_by_asgi(keyed, asked[1:])
    direct.admission.waiting -= direct.admission.capacity

    assert known == parsed
    assert [it[::3] for it in known] == [(503, "00-1-01"), (503, "00-2-01")]
    assert [it.request_id for it in known] == ["id-1", "id-2"]


def test_own_ids_of_who_left_while_in_line(keyed: Client, direct: Direct) -> None:
    """Nobody is told but the log."""

    async def talk(connection: Connection) -> None:
        await connection.ask(of_shape(SHAPES[4], 1, "first", "00-1-01"))
        for _ in range(BEGUN_IN_A_TURN):
            Connection(keyed.app, keyed.state).send(of_shape(SHAPES[4], 1, "other", "00-2-01"))
        gone = Connection(keyed.app, keyed.state)
        gone.protocol.parser = Unparsed()  # type: ignore[assignment]
        gone.send(of_shape(SHAPES[4], 2, "gone", "00-3-01"))
        gone.protocol.connection_lost(None)
        await connection.ask(of_shape(SHAPES[4], 1, "last", "00-4-01"))

    with structlog.testing.capture_logs([with_request]) as lines:
        on_connection(keyed, talk)

    assert [(it["request_id"], it["traceparent"]) for it in lines if it.get("status") == 499] == [("gone", "00-3-01")]
    assert {it["request_id"] for it in lines if it.get("status") == 200} == {"first", "other", "last"}


@pytest.mark.parametrize("line", ODD_LINES)
def test_odd_lines_are_answered_as_ever(keyed: Client, direct: Direct, line: str) -> None:
    """As by a connection that knows no head, though all heads near to it are known; and so is what comes behind it."""
    near = [of_shape(shape, 1, request_id, "00-1-01") for request_id in ("first", "2") for shape in SHAPES]
    odd = [request(body_of(2.5), line), request(body_of(3.5), line)]
    asked = [*near, *odd, *near[: len(SHAPES)], *odd]

    assert told(keyed, asked) == told_by_asgi(keyed, asked)


@pytest.mark.parametrize("query", ["?X-Request-ID:%20x", "?X-Request-ID: x", "?\r\nX-Request-ID: x\r\n"])
def test_id_in_the_request_line(keyed: Client, direct: Direct, query: str) -> None:
    """It is none, nor is what breaks the line."""
    path = "/predict/timeseries" + query
    asked = [of_shape(SHAPES[0], 1, "first", ""), *[request(body_of(2.5), "X-Request-ID: 2", path=path)] * 2]

    assert told(keyed, asked) == told_by_asgi(keyed, asked)


BINARY = binary_series(np.frombuffer(LINE.ljust(80, b"\x3f"), np.float32).reshape(1, 10, 2))


@pytest.mark.parametrize(
    ("path", "lines", "body", "status"),
    [
        ("/predict/timeseries", [], json.dumps({"sequence": SERIES}).encode().replace(b" ", b"\r\n\r\n"), 200),
        ("/predict/timeseries", [], LINE + body_of(1.5), 400),
        ("/predict/timeseries", [], LINE + b"\r\n" + LINE, 400),
        (INFER.format("timeseries"), [f"{name}: {it}" for name, it in BINARY.headers.items()], BINARY.content, 200),
    ],
)
def test_body_keeps_what_looks_like_an_id(
    keyed: Client, direct: Direct, path: str, lines: list[str], body: bytes, status: int
) -> None:
    """Not one byte of it is taken for the head's."""
    asked = [request(body, *lines, f"X-Request-ID: {one}", path=path) for one in ("first", "2", "x" * 128)]

    known = told(keyed, asked, parsed=1)

    assert known == told_by_asgi(keyed, asked)
    assert [it.status for it in known] == [status] * 3


def test_spellings_are_bounded(keyed: Client, direct: Direct) -> None:
    """However many ways a name is written; once they are forgotten with the heads, usual ones have a place again."""
    letters, sizes = "xrequestid", []

    async def talk(connection: Connection) -> None:
        for number in range(3 * MOST_KNOWN):
            word = "".join(it.upper() if number >> bit & 1 else it for bit, it in enumerate(letters))
            odd = request(b"{}", f"{word[0]}-{word[1:8]}-{word[8:]}: id-{number}")
            if number < MOST_KNOWN:
                assert f"\r\nx-request-id: id-{number}\r\n".encode() in await connection.ask(odd)
            await connection.ask(request(b"{}", f"X-Number: {number}"))
            sizes.append((len(direct.heads.known), len(direct.heads._spellings)))

    on_connection(keyed, talk)

    assert tuple(map(max, zip(*sizes, strict=True))) == (MOST_KNOWN, MOST_SPELLINGS)
    known = told(keyed, [of_shape(SHAPES[4], 1, request_id, "00-1-01") for request_id in ("first", "2")], parsed=1)
    assert [it.request_id for it in known] == ["first", "2"]


@pytest.mark.parametrize("body", [body_of(1.5), b"{}", b""])
@pytest.mark.parametrize("shape", [SHAPES[4], SHAPES[5], SHAPES[7]])
def test_only_one_whole_request_is_known(keyed: Client, direct: Direct, shape: list[str], body: bytes) -> None:
    """Not a part of it, nor more than it, nor one whose head has no end."""
    whole, other = (
        request(body, *[line.format(id=request_id, trace=trace) for line in shape])
        for request_id, trace in (("first", "00-1-01"), ("2", "00-22-01"))
    )
    assert direct.heads.of(whole) is None
    told(keyed, [whole])

    for one in (whole, other):
        known = direct.heads.of(one)
        assert known is not None
        assert (one[known.head_size :], known.content_size) == (body, len(body))
        assert not any(direct.heads.of(one[:size]) for size in range(len(one)))
        wrong = [b"\r\n\r\n", one + b"x", one + one, b"\r\n" + one, one[1:], one.replace(b"\r\n\r\n", b"\r\n", 1)]
        assert not any(map(direct.heads.of, wrong))


LINES = ["X-Request-ID: {value}", "x-request-id: {value}", "traceparent: {value}", "Traceparent: {value}"]
OTHER_LINES = ["Accept: */*", "X-Request-ID:{value}", "X-Other: {value}", "XX-Request-ID: {value}"]
VALUES = ["a", "00-22-01", "x" * 128, "", "a b", " a", "a ", "x" * 129, "é", "\x01"]
BODIES = [body_of(1.5), body_of(2.5), body_of(33.5), b"{}", b""]


@st.composite
def talks(draw: st.DrawFn) -> list[bytes]:
    """Requests of one client, which keeps to its lines and their order, and has few values and bodies for them."""
    fixed = [f"X-API-Key: {KEY}", "Host: x", "Content-Length: {length}"]
    own = draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=2))
    others = draw(st.lists(st.sampled_from(OTHER_LINES), max_size=1))
    lines = draw(st.permutations([*fixed, *own, *others]))
    values = draw(st.lists(st.sampled_from(VALUES), min_size=2, max_size=3, unique=True))
    bodies = draw(st.lists(st.sampled_from(BODIES), min_size=1, max_size=2, unique=True))
    asked = []
    for body in draw(st.lists(st.sampled_from(bodies), min_size=3, max_size=6)):
        filled = [line.format(length=len(body), value=draw(st.sampled_from(values))) for line in lines]
        asked.append("\r\n".join(["POST /predict/timeseries HTTP/1.1", *filled, "", ""]).encode() + body)
    return asked


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=talks())
def test_any_heads_are_answered_as_ever(keyed: Client, direct: Direct, asked: list[bytes]) -> None:
    """Known or not, each is answered and told in the log as by a connection that knows none."""
    direct.heads = KnownHeads()

    assert told(keyed, asked * 2) == told_by_asgi(keyed, asked) * 2
