"""Every answer has its line in the log, however many are answered together."""

import itertools
import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from select import PIPE_BUF

from hypothesis import given
from hypothesis import strategies as st

from service.logs import pieces
from tests.service.processes import finished, greeting, kill, port_of, process
from tests.service.wire import BODY, answer_on, connected

CONNECTIONS, ROUNDS = 24, 3


def request(name: str, body: bytes = BODY) -> bytes:
    """A prediction with an id of its own, the same head otherwise."""
    lines = ["POST /predict/timeseries HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", f"X-Request-ID: {name}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_who_has_the_answer_finds_the_line(one_model: Path) -> None:
    """Also where the server is killed in the moment that the last answer has come: each line was written before."""
    asked: list[str] = []
    with process(one_model) as started, ExitStack() as stack:
        port = port_of(greeting(started, 1))
        connections = [stack.enter_context(connected(port)) for _ in range(CONNECTIONS)]
        statuses: Counter[int] = Counter()
        for turn in range(ROUNDS):
            for place, connection in enumerate(connections):
                asked.append(f"{turn}-{place}")
                connection.sendall(request(asked[-1], BODY if place else b"[" + BODY[1:]))
            statuses.update(answer_on(connection)[0] for connection in connections)
        kill(started)
        _, _, err = finished(started)

    lines = [line for line in map(json.loads, err.splitlines()) if line["logger"] == "service.access"]
    told = {line["request_id"]: line for line in lines if line["request_id"] in asked}
    assert statuses == {200: (CONNECTIONS - 1) * ROUNDS, 400: ROUNDS}
    assert sorted(told) == sorted(asked)
    assert Counter(line["status"] for line in told.values()) == statuses
    assert all(line["path"] == "/predict/timeseries" and line["duration_ms"] > 0 for line in told.values())
    assert len({line["request_id"] for line in lines}) == len(lines)


@given(st.lists(st.integers(1, PIPE_BUF + 10).map(lambda length: b"x" * length), max_size=30))
def test_lines_are_written_whole(lines: list[bytes]) -> None:
    """A pipe takes each piece in one, unless it is one line that is longer than that."""
    written = list(pieces(lines))

    assert b"\n".join(written) == b"\n".join(lines)
    assert all(len(piece) + 1 <= PIPE_BUF or b"\n" not in piece for piece in written)
    # No more of them than have to be.
    assert all(len(piece) + len(other) + 2 > PIPE_BUF for piece, other in itertools.pairwise(written))
