"""More than can be answered: who comes then is told before a body is sent, and who came before is answered."""

import json
import logging
import select
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.app import create_app
from service.exchange import with_request
from service.pace import Pace
from service.session import Session, Tensor, Tensors
from service.settings import Settings
from tests.service.conftest import SERIES
from tests.service.test_draining import BODY
from tests.service.test_http_cycle import (
    PATIENCE_SECONDS,
    Listening,
    answer_on,
    asked,
    listening,
    read_answer,
    until_closed,
    wait_until,
)
from tests.service.test_main import begin_request, finished, greeting, port_of, process
from tests.service.tiny_models import publish, timeseries_model

# 32 rows are as quick as one, and none is short enough for the event loop: one run at a time, in a thread.
SLOW = Pace({1: 1.0, 32: 1.0}, row_values=20, long_values=20, long_seconds=1.0)
SOON_MS = 100


class Runs:
    """The runs of a model: which requests, by their number, were in each. They wait until they may end."""

    def __init__(self) -> None:
        self.numbers: list[list[int]] = []
        self._may_end = threading.Event()

    def hold(self, rows: Tensor) -> None:
        """A run has begun."""
        self.numbers.append([int(row[0, 0]) for row in rows])
        assert self._may_end.wait(PATIENCE_SECONDS), "the test has not let it go"

    def let_go(self) -> None:
        """All may end, those that come too."""
        self._may_end.set()


class HeldSession(Session):
    """A real session; once it is loaded, its runs wait."""

    _runs: Runs | None = None

    def __init__(self, model: bytes, runs: Runs) -> None:
        super().__init__(model)
        self.pace = SLOW
        self._runs = runs

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """The real outputs, when they may be had."""
        if self._runs is not None:
            self._runs.hold(rows)
        return super().run(rows, outputs)


@dataclass(frozen=True)
class Held:
    """A service whose runs wait."""

    listening: Listening
    runs: Runs
    stack: ExitStack

    def connected(self) -> socket.socket:
        """A connection, closed with the service."""
        return self.stack.enter_context(self.listening.connected())

    def predict(self, number: int, *lines: str) -> socket.socket:
        """A connection that has asked for a prediction."""
        connection = self.connected()
        connection.sendall(prediction(number, *lines))
        return connection

    def fill(self, numbers: Sequence[int]) -> list[socket.socket]:
        """One request that runs, and those after it that wait, in this order."""
        running = self.predict(numbers[0])
        wait_until(lambda: self.runs.numbers == [[numbers[0]]])
        return [running, *(self.waiting(number, place) for place, number in enumerate(numbers[1:], start=1))]

    def waiting(self, number: int, place: int) -> socket.socket:
        """A connection whose request waits, so many with it."""
        connection = self.predict(number)
        wait_until(lambda: self.listening.admission.waiting == place)
        return connection


@contextmanager
def held(repository: Path, **settings: Any) -> Iterator[Held]:
    """The service in this process, behind a socket."""
    runs = Runs()
    app = create_app(Settings(model_repository=repository, **settings), lambda model: HeldSession(model, runs))
    with listening(app) as server, ExitStack() as stack:
        stack.callback(runs.let_go)
        service = Held(server, runs, stack)
        wait_until(lambda: get(service, "/v2/health/ready")[0] == 200)
        yield service


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one."""
    folder = tmp_path_factory.mktemp("one_model")
    publish(folder, "timeseries", "1", timeseries_model())
    return folder


def prediction(number: int, *lines: str) -> bytes:
    """A whole request for a prediction; its number is its series' first value."""
    body = json.dumps({"sequence": [[number, 0], *SERIES[1:]]}).encode()
    return head(len(body), *lines) + body


def head(length: int, *lines: str) -> bytes:
    """A prediction's, without its body."""
    return asked("/predict/timeseries", f"Content-Length: {length}", *lines, method="POST")


def get(service: Held, path: str) -> tuple[int, bytes]:
    """One request, on a connection of its own."""
    with service.listening.connected() as connection:
        connection.sendall(asked(path, "Connection: close"))
        return answer_on(connection)


def statuses(connections: Sequence[socket.socket]) -> list[int]:
    """Of the next answer on each."""
    return [answer_on(connection)[0] for connection in connections]


def counted(service: Held, outcome: str) -> int:
    """How many requests had this outcome, as the metrics tell."""
    lines = get(service, "/metrics")[1].decode().splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if f'outcome="{outcome}"' in line)


@pytest.mark.parametrize(
    ("capacity", "lines"), [(1, ()), (2, ("Expect: 100-continue",)), (3, ()), (4, ("Expect: 100-continue",))]
)
def test_who_comes_to_a_full_queue_is_told_before_the_body_is_sent(
    one_model: Path, capacity: int, lines: tuple[str, ...]
) -> None:
    """503 with when to come again, for the head alone; those before it are answered, and then so is who comes again."""
    with held(one_model, max_queue_size=capacity) as service:
        taken = service.fill(range(1 + capacity))
        refused = service.connected()
        refused.sendall(head(len(BODY), *lines))
        told = refused.recv(65536)
        probes = [get(service, path)[0] for path in ("/v2/health/live", "/v2/health/ready", "/models")]
        unanswered = select.select(taken, [], [], 0)[0]
        service.runs.let_go()
        answers = statuses(taken)
        refused.sendall(BODY + prediction(99))
        again = answer_on(refused)[0]

    told_head, _, document = told.partition(b"\r\n\r\n")
    assert told_head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in told_head
    assert json.loads(document)["type"] == "urn:heed:problem:overloaded"
    assert probes == [200, 200, 200]
    assert unanswered == []
    assert answers == [200] * (1 + capacity)
    assert again == 200


def test_refusals_do_not_wait(one_model: Path) -> None:
    """However many come, each is told at once, and none takes a place."""
    with held(one_model, max_queue_size=2) as service:
        taken = service.fill(range(3))
        refused = [service.predict(number) for number in range(10, 60)]
        told = statuses(refused)
        waiting = service.listening.admission.waiting
        service.runs.let_go()
        answers = statuses(taken)

    assert told == [503] * 50
    assert waiting == 2
    assert answers == [200] * 3
    assert service.runs.numbers == [[0], [1, 2]]


def test_refused_again_and_again_on_one_connection(one_model: Path) -> None:
    """Who does not wait as told is refused each time, and answered on the same connection once there is a place."""
    with held(one_model, max_queue_size=1) as service:
        taken = service.fill(range(2))
        insistent = service.connected()
        told = []
        for number in range(3):
            insistent.sendall(prediction(number))
            told.append(answer_on(insistent)[0])
        service.runs.let_go()
        answers = statuses(taken)
        insistent.sendall(prediction(3))
        told.append(answer_on(insistent)[0])

    assert told == [503, 503, 503, 200]
    assert answers == [200, 200]


def test_pipelined_requests_at_a_full_queue_are_all_answered(one_model: Path) -> None:
    """However many came in one piece behind a running one: each is refused, in its turn."""
    with held(one_model, max_queue_size=1) as service:
        (pipelining,) = service.fill([1])
        pipelining.sendall(prediction(2) * 300)
        waiting = service.waiting(3, 1)
        service.runs.let_go()
        with pipelining.makefile("rb") as file:
            told = [read_answer(file)[0] for _ in range(301)]
        answers = statuses([waiting])

    assert told[0] == 200
    assert set(told) <= {200, 503}
    assert answers == [200]


def test_log_knows_who_asked_at_a_full_queue(one_model: Path) -> None:
    """Each access line has its request's id, whatever was answered, at once or after a wait."""
    paths = {"1": "/models", "2": "/metrics", "3": "/v2/health/live", "4": "/predict/timeseries"}
    with structlog.testing.capture_logs([with_request]) as lines, held(one_model, max_queue_size=1) as service:
        service.fill([1, 2])
        for request_id, path in paths.items():
            with service.connected() as connection:
                connection.sendall(asked(path, f"X-Request-ID: {request_id}", "Connection: close"))
                until_closed(connection)
        service.runs.let_go()

    told = {line.get("request_id"): line["path"] for line in lines if line["event"] == "request"}
    assert told.items() >= paths.items()


def test_body_that_dribbles_takes_no_place(one_model: Path) -> None:
    """A dozen that have begun to send their bodies wait for nothing here; others are let in past them."""
    with held(one_model, max_queue_size=1) as service:
        service.runs.let_go()
        slow = [service.connected() for _ in range(12)]
        for connection in slow:
            begin_request(connection, len(BODY))
            connection.sendall(BODY[:10])
        others = [statuses([service.predict(number)])[0] for number in range(3)]
        waiting = service.listening.admission.waiting
        answers = []
        for connection in slow:
            connection.sendall(BODY[10:])
            answers += statuses([connection])

    assert others == [200] * 3
    assert waiting == 0
    assert answers == [200] * 12


def test_body_that_comes_to_a_full_queue_is_refused(one_model: Path) -> None:
    """There was a place when its head came, and there is none when it is whole."""
    with held(one_model, max_queue_size=1) as service:
        slow = service.connected()
        begin_request(slow, len(BODY))
        taken = service.fill(range(2))
        slow.sendall(BODY)
        status, document = answer_on(slow)
        service.runs.let_go()
        answers = statuses(taken)

    assert (status, json.loads(document)["type"]) == (503, "urn:heed:problem:overloaded")
    assert answers == [200, 200]


def test_call_of_several_inputs_takes_a_place_for_each(one_model: Path) -> None:
    """Alone it may bring more than there are; where something waits, what does not fit is refused as a whole."""
    call = json.dumps({"sequences": [SERIES] * 4}).encode()
    request = asked("/predict/timeseries/batch", f"Content-Length: {len(call)}", method="POST") + call
    with held(one_model, max_queue_size=3) as service:
        (running,) = service.fill([1])
        alone = service.connected()
        alone.sendall(request)
        wait_until(lambda: service.listening.admission.waiting == 4)
        service.runs.let_go()
        before = statuses([running, alone])
    with held(one_model, max_queue_size=4) as service:
        taken = service.fill([1, 2])
        beside = service.connected()
        beside.sendall(request)
        told = statuses([beside])
        service.runs.let_go()
        answers = statuses(taken)

    assert before == [200, 200]
    assert told == [503]
    assert answers == [200, 200]


def test_nothing_waits_after_a_rush(one_model: Path) -> None:
    """Hundreds at once, every third of whom leaves: the others are answered or refused, and no place is lost."""
    with held(one_model, max_queue_size=40) as service:
        service.runs.let_go()
        connections = [service.connected() for _ in range(300)]
        for number, connection in enumerate(connections):
            connection.sendall(prediction(number))
            if number % 3 == 0:
                connection.close()
        told = statuses([one for number, one in enumerate(connections) if number % 3])
        wait_until(lambda: service.listening.admission.waiting == 0)
        again = statuses([service.predict(1)])

    assert {200} <= set(told) <= {200, 503}
    assert again == [200]


def test_client_that_leaves_while_it_waits_is_not_run(one_model: Path) -> None:
    """It is dropped before the run; those before and after it are answered."""
    with held(one_model) as service:
        connections = service.fill([1, 2, 3, 4])
        connections.pop(2).close()
        wait_until(lambda: counted(service, "gone") == 1)
        service.runs.let_go()
        answers = statuses(connections)

    assert answers == [200] * 3
    assert service.runs.numbers == [[1], [2, 4]]


@pytest.mark.parametrize("leaving", [1, 2])
def test_client_that_leaves_is_no_failure(one_model: Path, caplog: pytest.LogCaptureFixture, leaving: int) -> None:
    """Nothing is logged as one, whether it waits for one answer or has asked for more behind it."""
    with held(one_model) as service:
        (running,) = service.fill([1])
        gone = service.connected()
        gone.sendall(b"".join(prediction(number) for number in range(2, 2 + leaving)))
        wait_until(lambda: service.listening.admission.waiting == 1)
        gone.close()
        wait_until(lambda: counted(service, "gone") >= 1)
        service.runs.let_go()
        answers = statuses([running])

    assert answers == [200]
    assert service.runs.numbers == [[1]]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_place_of_who_gave_up_is_free(one_model: Path) -> None:
    """Who left, and whose deadline passed, wait no longer: who comes then is not refused for them."""
    with held(one_model, max_queue_size=2) as service:
        (running,) = service.fill([1])
        leaving, late = service.predict(2), service.predict(3, f"X-Request-Timeout-Ms: {SOON_MS}")
        told = statuses([late])
        leaving.close()
        wait_until(lambda: counted(service, "gone") == 1)
        newcomers = [service.predict(4), service.predict(5)]
        # By the time of its answer they have come too.
        get(service, "/v2/health/live")
        service.runs.let_go()
        answers = statuses([running, *newcomers])

    assert told == [504]
    assert answers == [200, 200, 200]


def test_deadline_that_passes_in_the_queue_is_told(one_model: Path) -> None:
    """504 while the run before it goes on; it is never run itself."""
    with held(one_model) as service:
        (running,) = service.fill([1])
        late = [service.predict(number, f"X-Request-Timeout-Ms: {SOON_MS}") for number in (2, 3)]
        patient = service.predict(4)
        told = [answer_on(connection) for connection in late]
        service.runs.let_go()
        answers = statuses([running, patient])

    assert [status for status, _ in told] == [504, 504]
    assert {json.loads(document)["type"] for _, document in told} == {"urn:heed:problem:deadline"}
    assert answers == [200, 200]
    assert service.runs.numbers == [[1], [4]]


def test_deadline_that_passes_in_the_run_is_told(one_model: Path) -> None:
    """Nobody waits longer than it may; the run ends, and the next ones are answered."""
    with held(one_model) as service:
        told = statuses([service.predict(1, f"X-Request-Timeout-Ms: {SOON_MS}")])
        service.runs.let_go()
        answers = statuses([service.predict(2)])

    assert (told, answers) == ([504], [200])


def test_who_waits_when_the_server_stops_is_answered(one_model: Path) -> None:
    """The one that runs and those that wait; then their connections are closed."""
    with held(one_model) as service:
        connections = service.fill([1, 2, 3])
        service.listening.server.should_exit = True
        wait_until(lambda: service.listening.admission.is_draining)
        service.runs.let_go()
        answers = [until_closed(connection) for connection in connections]

    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 200 "] * 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_stopping_server_says_so_to_who_asks_whether_it_is_ready(one_model: Path, workers: str) -> None:
    """On a connection that was there before; who sends a body meanwhile is answered, and the process ends."""
    with process(one_model, HEED_WORKERS=workers) as started:
        port = port_of(greeting(started, 1))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as probe,
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as sending,
        ):
            before = ready(probe)
            begin_request(sending, len(BODY))
            started.send_signal(signal.SIGTERM)
            while (told := ready(probe))[0] == 200:
                pass
            sending.sendall(BODY)
            answer = until_closed(sending)
        status, _, _ = finished(started)

    assert before[0] == 200
    assert (told[0], json.loads(told[1])["type"]) == (503, "urn:heed:problem:draining")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert status == 0


def ready(connection: socket.socket) -> tuple[int, bytes]:
    """What is said on this connection."""
    connection.sendall(asked("/v2/health/ready"))
    return answer_on(connection)
