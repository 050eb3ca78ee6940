"""Stopping: nobody new is taken in, and everybody who came before is answered."""

import http.client
import json
import signal
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from tests.service.held import held
from tests.service.patience import PATIENCE_SECONDS, wait_until
from tests.service.processes import finished, greeting, patience, port_of, process
from tests.service.wire import BODY, HEAD, answer_on, asked, connected, until_closed

CLIENTS = 12


def wait_until_refused(port: int) -> None:
    """Try new connections until one is refused; one that is taken in must never be left without an end."""
    for _ in range(200):
        try:
            with connected(port) as connection:
                connection.settimeout(PATIENCE_SECONDS)
                until_closed(connection)
        except ConnectionRefusedError:
            return
    raise AssertionError("connections are still taken in")


@dataclass(frozen=True)
class Stopped:
    """What those were told who were connected when the signal came, and the status of the process."""

    running: bytes
    silent: bytes
    probe: tuple[tuple[int, bytes], tuple[int, bytes]]
    status: int


STOPS = list(product(["1", "2"], [signal.SIGTERM, signal.SIGINT]))


@pytest.fixture(scope="module", params=STOPS, ids=lambda stop: f"{stop[0]}-{stop[1].name}")
def stopped(request: pytest.FixtureRequest, one_model: Path) -> Stopped:
    """A service of so many workers stops while one body is on its way, one connection is silent, and one asks whether
    it is ready, before and after; new connections are tried until one is refused.
    """
    workers, number = request.param
    with process(one_model, HEED_WORKERS=workers) as started:
        port = port_of(greeting(started, 1))
        with connected(port) as running, connected(port) as silent, connected(port) as probe:
            running.sendall(HEAD + BODY[:20])
            before = ready(probe)
            assert b"200" in answered_once(port)
            started.send_signal(number)
            silent.sendall(HEAD + BODY)
            while (told := ready(probe))[0] == 200:
                pass
            wait_until_refused(port)
            running.sendall(BODY[20:])
            answers = until_closed(running), until_closed(silent)
        status, _, _ = finished(started)
    return Stopped(*answers, (before, told), status)


def answered_once(port: int) -> bytes:
    """The answer to one whole request: by then, what was sent before it on another connection has arrived too."""
    with connected(port) as connection:
        connection.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + BODY)
        return until_closed(connection)


def ready(connection: socket.socket) -> tuple[int, bytes]:
    """What is said on this connection."""
    connection.sendall(asked("/v2/health/ready"))
    return answer_on(connection)


def test_new_connections_are_refused_while_a_request_runs(stopped: Stopped) -> None:
    """A request whose body is still on its way when the signal comes is answered; meanwhile a new connection is refused
    and does not hang; the process ends with 0.
    """
    assert stopped.running.startswith(b"HTTP/1.1 200 OK")
    assert b'"prediction"' in stopped.running
    assert stopped.status == 0


def test_request_of_a_connection_that_was_silent_is_answered(stopped: Stopped) -> None:
    """Taken in before the signal, sent at once after it: on its way, answered, and closed."""
    assert stopped.silent.startswith(b"HTTP/1.1 200 OK")
    assert stopped.status == 0


def test_stopping_server_says_so_to_who_asks_whether_it_is_ready(stopped: Stopped) -> None:
    """On a connection that was there before; who sends a body meanwhile is answered, and the process ends."""
    before, told = stopped.probe

    assert before[0] == 200
    assert (told[0], json.loads(told[1])["type"]) == (503, "urn:heed:problem:draining")
    assert stopped.running.startswith(b"HTTP/1.1 200 ")
    assert stopped.status == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_stop_under_load_answers_or_refuses(repository: Path, workers: str) -> None:
    """A dozen clients, each request on a connection of its own: answered, or refused before it was sent."""
    outcomes: Counter[str] = Counter()
    with process(repository, HEED_WORKERS=workers, HEED_LOG_LEVEL="warning") as started:
        port = port_of(greeting(started))
        clients = [threading.Thread(target=ask_until_refused, args=(port, outcomes)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        with patience(started):
            while outcomes["200"] < 10 * CLIENTS:
                assert any(client.is_alive() for client in clients), f"nobody is answered any more: {outcomes}"
                time.sleep(0.01)
            started.send_signal(signal.SIGTERM)
            for client in clients:
                client.join()
        status, _, _ = finished(started)

    assert status == 0
    # Who connects between the last look at the listening socket and its end, microseconds later, is the system's alone.
    assert outcomes.pop("ConnectionResetError", 0) <= 1
    assert outcomes.keys() == {"200", "ConnectionRefusedError"}


def ask_until_refused(port: int, outcomes: "Counter[str]") -> None:
    """Count what becomes of each request, until one meets anything but an answer."""
    outcome = "200"
    while outcome == "200":
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", "/predict/timeseries", BODY, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            outcome = str(response.status)
        except OSError as error:
            outcome = type(error).__name__
        finally:
            connection.close()
        outcomes[outcome] += 1


def test_workers_end_with_a_parent_that_was_killed(repository: Path) -> None:
    """SIGKILL reaches the parent alone; nobody is left on the port."""
    with process(repository, HEED_WORKERS="2") as started:
        port = port_of(greeting(started))

        started.kill()
        # Read to its end: that comes when the last process that inherited the pipe has gone.
        started.communicate(timeout=PATIENCE_SECONDS)

        with pytest.raises(ConnectionRefusedError):
            connected(port)


def test_who_waits_when_the_server_stops_is_answered(one_model: Path) -> None:
    """The one that runs and those that wait; then their connections are closed."""
    with held(one_model) as service:
        connections = service.fill([1, 2, 3])
        service.listening.server.should_exit = True
        wait_until(lambda: service.listening.admission.is_draining)
        service.runs.let_go()
        answers = [until_closed(connection) for connection in connections]

    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 200 "] * 3
