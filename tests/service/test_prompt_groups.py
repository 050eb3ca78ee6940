"""Requests that begin together and ask the same are one group: each has its own answer, whatever becomes of others."""

import gc
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service import app
from service.http_protocol import DIRECT
from service.metrics import Metrics
from service.pace import Pace
from service.session import Session, Tensor, Tensors
from service.settings import Settings
from tests.service.batching import turns
from tests.service.client import Client, running
from tests.service.conftest import SERIES
from tests.service.connection import Connection
from tests.service.held import SLOW
from tests.service.patience import PATIENCE_SECONDS
from tests.service.tiny_models import expected_timeseries, publish, timeseries_model

Result = TypeVar("Result")
# Any run stays on the event loop, in batches of up to eight.
ON_LOOP = Pace({1: 1e-5, 8: 1e-5}, row_values=20, long_values=20, long_seconds=1e-5)
# Runs beside each other pay, each in a thread.
IN_THREADS = Pace({1: 1e-3, 8: 6.4e-3, 32: 17.6e-3}, row_values=20, long_values=20, long_seconds=1e-3)
POISON = 666.0


@dataclass
class Runs:
    """The first number of each row, run by run. Rows of poison fail. A run waits until it may end."""

    numbers: list[list[float]] = field(default_factory=list)
    has_lost_a_row: bool = False
    may_end: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Service:
    """A service, and the runs of its models."""

    client: Client
    runs: Runs
    waits_for_company: bool

    def talk(self, talking: Callable[[], Awaitable[Result]]) -> Result:
        """On the event loop; nothing has run yet."""
        self.runs.numbers.clear()
        self.runs.has_lost_a_row = False
        return self.client.portal.call(talking)

    def connections(self, count: int) -> list[Connection]:
        """New ones, of one server."""
        connections = [Connection(self.client.app, self.client.state) for _ in range(count)]
        for connection in connections[1:]:
            connection.protocol.tasks = connections[0].protocol.tasks
        return connections

    async def known(self, *requests: bytes) -> list[Connection]:
        """Connections for these, whose heads came before, by others."""
        for request in requests:
            (other,) = self.connections(1)
            if self.waits_for_company:
                other.send(request)
                await turns()
                other.protocol.connection_lost(None)
            else:
                await other.ask(request)
        self.runs.numbers.clear()
        return self.connections(len(requests))

    async def send(self, *requests: bytes) -> list[Connection]:
        """All of them in one turn of the event loop, as requests that do not come alone."""
        connections = await self.known(*requests)
        self.send_on(connections, requests)
        return connections

    def send_on(self, connections: Sequence[Connection], requests: Sequence[bytes]) -> None:
        """The same on these, which have sent theirs before."""
        self.client.state[DIRECT].admission.together = len(requests)
        for connection, request in zip(connections, requests, strict=True):
            connection.send(request)

    async def answers(self, *requests: bytes) -> list[bytes]:
        """To each of them."""
        return [(await one.answers())[0] for one in await self.send(*requests)]

    def counted(self, series: str, **labels: str) -> float:
        """By all requests until now."""
        metrics: Metrics = self.client.state[DIRECT].access_log._metrics
        metrics.count()
        told = [(name, own, value) for name, own, value in metrics.samples() if labels.items() <= own.items()]
        return sum(value for name, _, value in told if name == series)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models whose rows are of one length, of any length, and of one feature."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "timeseries", "1", timeseries_model())
    publish(folder, "any_length", "1", timeseries_model("time"))
    publish(folder, "one_feature", "1", timeseries_model(features=1, contributions=False))
    return folder


def serving(folder: Path, pace: Pace = ON_LOOP, **settings: Any) -> Iterator[Service]:
    """A service whose models have this pace."""
    runs = Runs()
    runs.may_end.set()

    class WatchedSession(Session):
        def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
            tensors = super().run(rows, outputs)
            if hasattr(self, "pace"):
                runs.numbers.append(rows[:, 0, 0].tolist())
                assert runs.may_end.wait(PATIENCE_SECONDS), "the test has not let it go"
                if POISON in runs.numbers[-1]:
                    raise ArithmeticError("poison")
                if runs.has_lost_a_row and len(rows) > 1:
                    return {name: values[1:] for name, values in tensors.items()}
            return tensors

    def load_graph(model: bytes, _: Pace | None) -> Session:
        return WatchedSession(model, pace)

    with running(Settings(model_repository=folder, **settings), load_graph=load_graph) as client:
        yield Service(client, runs, "max_queue_delay_ms" in settings)


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """One whose runs stay on the event loop."""
    yield from serving(folder)


def series_of(first: float, steps: int = 10) -> list[list[float]]:
    """Told from others by its first number."""
    return [[first, 1.0], *(SERIES * 3)[1:steps]]


def request(sequence: Any, query: str = "", *lines: str) -> bytes:
    """As a client sends it."""
    body = sequence if isinstance(sequence, bytes) else json.dumps({"sequence": sequence}).encode()
    head = [f"POST /predict/timeseries{query} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def read(answer: bytes) -> tuple[int, Any]:
    """Its status and its document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)


def rounded(document: Any) -> Any:
    """As bits are added up in a larger tensor, their last may differ."""
    if isinstance(document, dict):
        return {name: rounded(value) for name, value in document.items()}
    if isinstance(document, list):
        return [rounded(value) for value in document]
    return round(document, 5) if isinstance(document, float) else document


def check(answer: bytes, sequence: list[list[float]]) -> None:
    """It is this series' own, by NumPy's account of the model."""
    status, document = read(answer)
    expected = expected_timeseries(np.array(sequence, np.float32))
    assert status == 200, document
    scores = list(document["prediction"]["scores"].values())
    assert scores == pytest.approx(expected["probabilities"], rel=1e-4, abs=1e-5)
    (attention,) = document["attention"]
    assert attention["weights"] == pytest.approx(expected["attention"].mean(axis=1), rel=1e-4, abs=1e-5)


def test_one_group_is_one_run(service: Service) -> None:
    """Bodies of other lengths have other heads, and ask the same all the same."""
    sequences = [series_of(float(10**number)) for number in range(5)]

    answers = service.talk(lambda: service.answers(*map(request, sequences)))

    assert service.runs.numbers == [[1.0, 10.0, 100.0, 1000.0, 10000.0]]
    for answer, sequence in zip(answers, sequences, strict=True):
        check(answer, sequence)


def test_more_than_a_run_takes(service: Service) -> None:
    """They run in several, none larger than a run may be."""
    sequences = [series_of(number + 0.5) for number in range(19)]

    answers = service.talk(lambda: service.answers(*map(request, sequences)))

    assert [len(run) for run in service.runs.numbers] == [8, 8, 3]
    for answer, sequence in zip(answers, sequences, strict=True):
        check(answer, sequence)


@pytest.fixture(scope="module")
def slow(folder: Path) -> Iterator[Service]:
    """One whose runs are in a thread."""
    yield from serving(folder, SLOW)


@pytest.fixture(scope="module")
def parallel(folder: Path) -> Iterator[Service]:
    """One with two runs beside each other, each in a thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "usable_cores", lambda: 2)
        yield from serving(folder, IN_THREADS, workers=1)


def test_runs_beside_each_other_share_a_group(parallel: Service) -> None:
    """No core stands idle while another runs all of it."""
    sequences = [series_of(number + 0.5) for number in range(8)]

    answers = parallel.talk(lambda: parallel.answers(*map(request, sequences)))

    assert [len(run) for run in parallel.runs.numbers] == [4, 4]
    for answer, sequence in zip(answers, sequences, strict=True):
        check(answer, sequence)


def test_groups_fill_runs(slow: Service) -> None:
    """Of groups that wait for a run as many go as it takes, a part of one too; each has its own answer."""
    sequences = [series_of(number + 0.5) for number in range(61)]
    first, *waves = [sequences[:1], *(sequences[begin : begin + 20] for begin in (1, 21, 41))]

    async def talk() -> list[bytes]:
        known = iter(await slow.known(*map(request, sequences)))
        slow.runs.may_end.clear()
        connections = []
        for wave in (first, *waves):
            slow.client.state[DIRECT].admission.together = 2
            for sequence in wave:
                connections.append(next(known))
                connections[-1].send(request(sequence))
            await turns()
        slow.runs.may_end.set()
        return [(await one.answers())[0] for one in connections]

    answers = slow.talk(talk)

    assert [len(run) for run in slow.runs.numbers] == [1, 32, 28]
    for answer, sequence in zip(answers, sequences, strict=True):
        check(answer, sequence)


WRONG: dict[str, tuple[Any, int]] = {
    "not JSON": (b"{", 400),
    "not a series": (b'{"sequence": 1}', 422),
    "too short": ([[1.0, 2.0]], 422),
    "rows too long": ([[1.0, 2.0, 3.0]] * 10, 422),
    "a row too short": ([[1.0]] + [[1.0, 2.0]] * 9, 422),
    "too large for float32": (b'{"sequence": [[1e39, 1]]}', 422),
}


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    asked=st.lists(st.one_of(st.floats(-100, 100, width=16), st.sampled_from(sorted(WRONG))), min_size=1, max_size=20)
)
def test_what_is_wrong_is_told_to_its_own(service: Service, asked: list[float | str]) -> None:
    """The others' answers are their own."""
    requests = [request(WRONG[one][0] if isinstance(one, str) else series_of(one)) for one in asked]

    answers = service.talk(lambda: service.answers(*requests))

    assert sum(map(len, service.runs.numbers)) == sum(not isinstance(one, str) for one in asked)
    for one, answer in zip(asked, answers, strict=True):
        if isinstance(one, str):
            assert read(answer)[0] == WRONG[one][1]
        else:
            check(answer, series_of(one))


def test_what_asks_for_more_runs_apart(service: Service) -> None:
    """Of the same model, in the same turn."""
    queries = ["", "?attention=full", "?attention=none", "?label=0", "", "?attention=full"]
    requests = [request(series_of(number + 0.5), query) for number, query in enumerate(queries)]

    answers = service.talk(lambda: service.answers(*requests))

    alone = [service.client.post(f"/predict/timeseries{query}", json={"sequence": series_of(number + 0.5)}).json()
             for number, query in enumerate(queries)]  # fmt: skip
    assert [rounded(read(answer)[1]) for answer in answers] == [rounded(one) for one in alone]


def test_lengths_run_apart(service: Service) -> None:
    """Of a model that takes any length."""
    sequences = [series_of(number + 0.5, steps) for number, steps in enumerate((3, 10, 3, 7, 10))]
    requests = [request(sequence, "?model=any_length") for sequence in sequences]

    answers = service.talk(lambda: service.answers(*requests))

    assert sorted(service.runs.numbers) == [[0.5, 2.5], [1.5, 4.5], [3.5]]
    for answer, sequence in zip(answers, sequences, strict=True):
        check(answer, sequence)


def test_flat_and_nested_in_one_turn(service: Service) -> None:
    """A series of one feature may be either."""
    values = [[number + step / 10 for step in range(10)] for number in range(4)]
    bodies = [one if number % 2 else [[value] for value in one] for number, one in enumerate(values)]
    requests = [request(body, "?model=one_feature") for body in bodies]

    answers = service.talk(lambda: service.answers(*requests))

    for answer, own in zip(answers, values, strict=True):
        check(answer, [[value] for value in own])


@pytest.mark.parametrize("leaving", [{0}, {2}, {4}, {0, 1, 3}, {0, 1, 2, 3, 4}])
@pytest.mark.parametrize("after", range(6))
def test_who_left_is_not_run(service: Service, leaving: set[int], after: int) -> None:
    """After so many turns: in line, in a group that waits for company, or answered already."""
    sequences = [series_of(number + 0.5) for number in range(5)]

    async def talk() -> tuple[list[bytes], set[int]]:
        before = service.counted("heed_requests_total", outcome="gone")
        connections = await service.send(*map(request, sequences))
        await turns(after)
        gone = {number for number in leaving if not connections[number].protocol.cycle.response_complete}
        for number in leaving:
            connections[number].protocol.connection_lost(None)
        answers = [(await one.answers())[0] for number, one in enumerate(connections) if number not in gone]
        await turns()
        admission = service.client.state[DIRECT].admission
        assert admission.waiting == 0
        assert not admission.deadlines._due
        assert all(one.protocol.tasks == set() for one in connections)
        told = service.counted("heed_requests_total", outcome="gone", route="/predict/timeseries", model="timeseries")
        assert told - before == len(gone)
        return answers, gone

    answers, gone = service.talk(talk)

    stayed = [sequences[number] for number in range(5) if number not in gone]
    assert sum(map(len, service.runs.numbers)) == len(stayed)
    for answer, sequence in zip(answers, stayed, strict=True):
        check(answer, sequence)


def test_a_run_that_fails_is_told_to_whom_it_fails_for(service: Service) -> None:
    """The others of the group run alone."""
    numbers = [0.5, POISON, 2.5]

    answers = service.talk(lambda: service.answers(*[request(series_of(number)) for number in numbers]))

    assert service.runs.numbers == [numbers, *[[number] for number in numbers]]
    assert read(answers[1])[0] == 500
    check(answers[0], series_of(0.5))
    check(answers[2], series_of(2.5))


def test_a_run_with_too_few_rows(service: Service) -> None:
    """Nobody is given another's row: each runs alone."""
    sequences = [series_of(number + 0.5) for number in range(3)]

    async def talk() -> list[bytes]:
        service.runs.has_lost_a_row = True
        return await service.answers(*map(request, sequences))

    answers = service.talk(talk)

    assert [len(run) for run in service.runs.numbers] == [3, 1, 1, 1]
    for answer, sequence in zip(answers, sequences, strict=True):
        check(answer, sequence)


def test_each_is_counted(service: Service) -> None:
    """Each waits and is decoded and encoded for itself; the group ran once."""
    stages = ("decode_seconds", "queue_seconds", "encode_seconds", "batch_size", "session_seconds")

    def counts() -> list[float]:
        return [service.counted(f"heed_{stage}_count", model="timeseries") for stage in stages]

    async def talk() -> list[float]:
        requests = [request(series_of(number + 0.5)) for number in range(5)]
        connections = await service.known(*requests)
        before = counts()
        service.send_on(connections, requests)
        for connection in connections:
            await connection.answers()
        await turns()
        return [now - then for now, then in zip(counts(), before, strict=True)]

    assert service.talk(talk) == [5, 5, 5, 1, 1]


@pytest.mark.parametrize("queries", [[""] * 5, ["?model=unknown"] * 5, ["", "?label=unknown", "", "?version=7", ""]])
@pytest.mark.parametrize("bad", [(), (1,), (0, 1, 2, 3, 4)])
def test_nothing_is_left_for_the_garbage_collection(service: Service, queries: list[str], bad: tuple[int, ...]) -> None:
    """It would stop all answers for tens of milliseconds, once there is enough of it."""
    bodies = [series_of(number + 0.5, 3 if number in bad else 10) for number in range(5)]
    requests = [request(body, query) for body, query in zip(bodies, queries, strict=True)]

    async def talk() -> int:
        connections = await service.known(*requests)
        found = []
        for _ in range(3):
            gc.collect()
            service.send_on(connections, requests)
            for connection in connections:
                await connection.answers()
            await turns()
            found.append(gc.collect())
        return max(found)

    gc.disable()
    try:
        assert service.talk(talk) == 0
    finally:
        gc.enable()


SHORT, LONG = "X-Request-Timeout-Ms: 40", "X-Request-Timeout-Ms: 60000"


@pytest.fixture(scope="module")
def patient(folder: Path) -> Iterator[Service]:
    """One whose batches of four wait for company until they are full."""
    yield from serving(folder, max_queue_delay_ms=10_000, max_batch_size=4)


def test_each_has_its_own_deadline(patient: Service) -> None:
    """Whose time is over is told and not run; who has more is answered, once there is company enough."""
    asked = [request(series_of(0.5), "", LONG), request(series_of(1.5), "", SHORT), request(series_of(2.5), "", LONG)]

    async def talk() -> tuple[bytes, list[bytes]]:
        first, short, third = await patient.send(*asked)
        (late,) = await short.answers()
        company = patient.connections(2)
        for number, connection in enumerate(company):
            connection.send(request(series_of(number + 3.5), "", LONG))
        return late, [(await one.answers())[0] for one in (first, third, *company)]

    late, answers = patient.talk(talk)

    assert read(late)[0] == 504
    assert [sorted(run) for run in patient.runs.numbers] == [[0.5, 2.5, 3.5, 4.5]]
    for answer, number in zip(answers, (0.5, 2.5, 3.5, 4.5), strict=True):
        check(answer, series_of(number))


OUTCOMES = ("ok", "gone", "deadline")


def test_who_leaves_a_run_changes_nothing_for_others(slow: Service) -> None:
    """Nor whose time is over while it runs: each of the others has its own answer."""
    numbers = [0.5, 1.5, 2.5, 3.5]
    asked = [
        request(series_of(number), "", line) for number, line in zip(numbers, [LONG, LONG, SHORT, LONG], strict=True)
    ]

    async def talk() -> tuple[bytes, list[bytes]]:
        connections = await slow.known(*asked)
        slow.runs.may_end.clear()
        slow.send_on(connections, asked)
        (late,) = await connections[2].answers()
        connections[0].protocol.connection_lost(None)
        slow.runs.may_end.set()
        answers = [(await connections[place].answers())[0] for place in (1, 3)]
        await turns()
        return late, answers

    before = [slow.counted("heed_requests_total", outcome=outcome) for outcome in OUTCOMES]
    late, answers = slow.talk(talk)

    after = [slow.counted("heed_requests_total", outcome=outcome) for outcome in OUTCOMES]
    warm = len(asked)
    assert [now - then for now, then in zip(after, before, strict=True)] == [warm + 2, 1, 1]

    assert [sorted(run) for run in slow.runs.numbers] == [numbers]
    assert read(late)[0] == 504
    check(answers[0], series_of(1.5))
    check(answers[1], series_of(3.5))


def test_whoever_stops_the_server_ends_all(slow: Service) -> None:
    """When the time for stopping is over: they are told so, and the run, once it ends, is nobody's."""
    asked = [request(series_of(number + 0.5)) for number in range(3)]

    async def talk() -> list[bytes]:
        connections = await slow.known(*asked)
        slow.runs.may_end.clear()
        slow.send_on(connections, asked)
        await turns()
        # As uvicorn does.
        for task in connections[0].protocol.tasks:
            task.cancel(msg="the time for stopping is over")
        answers = [(await one.answers())[0] for one in connections]
        slow.runs.may_end.set()
        return answers

    answers = slow.talk(talk)

    assert [read(one)[0] for one in answers] == [503] * 3
    assert slow.client.state[DIRECT].admission.waiting == 0
    assert all(b"retry-after" in one for one in answers)
