"""The generator counts what it sent: nothing vanishes, and a refusal is no answer."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.generator import Step, in_turn, percentile
from benchmarks.questions import Question


class Server(ThreadingHTTPServer):
    """Of the standard library. It knows from which connection, by its port, each request came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.askers: list[int] = []


class Handler(BaseHTTPRequestHandler):
    """Refuses what asks for it, answers the rest; keeps its connections."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        assert isinstance(self.server, Server)
        self.server.askers.append(self.client_address[1])
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if content == b"refuse me" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    """One that answers."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def address(server: Server) -> str:
    """Where it answers."""
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(("body", "answered", "refused"), [(b"answer me", 50, 0), (b"refuse me", 0, 50)])
def test_everything_sent_is_counted(address: str, body: bytes, answered: int, refused: int) -> None:
    """Answers, refusals and losses add up to the rate times the time."""
    (arrivals,) = in_turn(address, [Step(Question("any", "/", "text/plain", body), 1, per_second=50)])

    assert (arrivals.answered_per_second, arrivals.refused, arrivals.broken) == (answered, refused, 0)


@pytest.mark.parametrize(("body", "is_answered"), [(b"answer me", True), (b"refuse me", False)])
def test_a_closed_loop_asks_again_once_answered(server: Server, address: str, body: bytes, is_answered: bool) -> None:
    """On so many connections, for as long as it should; the server has counted the same."""
    (arrivals,) = in_turn(address, [Step(Question("any", "/", "text/plain", body), 1, connections=3)])
    asked = len(server.askers)

    assert len(set(server.askers)) == 3
    assert asked > 30
    assert (arrivals.answered_per_second, arrivals.refused) == ((asked, 0) if is_answered else (0, asked))
    assert (arrivals.asked_per_second, arrivals.broken) == (asked, 0)


def test_the_same_clients_take_one_step_after_another(server: Server, address: str) -> None:
    """On the connections that they have, at the rate that they were answered before, or a part of it."""
    question = Question("any", "/", "text/plain", b"answer me")
    refused = Question("any", "/", "text/plain", b"refuse me")
    steps = [Step(question, 1, connections=3), Step(refused, 1, of_the_last=0.1), Step(question, 1, 2, per_second=20)]
    closed, part, rate = in_turn(address, steps)

    assert len(set(server.askers)) == 3
    assert part.refused == part.asked_per_second == int(0.1 * closed.answered_per_second)
    assert (part.answered_per_second, part.broken) == (0, 0)
    assert (rate.answered_per_second, rate.refused, rate.broken) == (20, 0, 0)


def test_a_server_that_is_not_there_loses_everything() -> None:
    """A refused connection is a lost request, not a missing one."""
    with Server() as server:
        port = server.server_port

    step = Step(Question("any", "/", "text/plain", b""), 1, per_second=20)
    (arrivals,) = in_turn(f"http://127.0.0.1:{port}", [step])

    assert (arrivals.answered_per_second, arrivals.refused, arrivals.broken) == (0, 0, 20)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_percentiles(percent: float, value: float) -> None:
    """Of a hundred values the 99th per cent is the largest."""
    assert percentile([float(it) for it in range(100, 0, -1)], percent) == value
    assert percentile([], percent) == 0
