"""The connection's own refusal: the same answer as the route's, the same line, the same count."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.access_log import AccessLog
from service.direct import Direct
from service.exchange import with_request
from tests.service.client import Client
from tests.service.connection import Connection
from tests.service.held import Held, counted, get, held, inference, prediction
from tests.service.patience import wait_until
from tests.service.test_direct import body_of, on_connection, request
from tests.service.wire import answer_on, asked, read_answer, until_closed

LINES = ("X-Request-ID: of-the-test", "traceparent: 00-a-b-01")


def refusal(service: Held, *lines: str, request: Any = prediction) -> tuple[bytes, bytes]:
    """Head and body of the answer to who comes while all places are taken."""
    service.fill(range(2))
    head, _, body = until_closed(service.send(request(9, "Connection: close", *lines))).partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("request_of", [prediction, inference])
def test_the_same_answer_as_the_routes(one_model: Path, request_of: Any) -> None:
    """Where pages of other origins may ask, their layer has its word in each answer, and the route refuses."""
    with held(one_model, max_queue_size=1) as service:
        of_connection = refusal(service, *LINES, request=request_of)
    with held(one_model, max_queue_size=1, cors_origins="https://example.org") as service:
        of_route = refusal(service, *LINES, request=request_of)

    of_each = [
        (sorted(line for line in head.lower().split(b"\r\n") if not line.startswith((b"date:", b"vary:"))), body)
        for head, body in (of_connection, of_route)
    ]
    assert of_each[0] == of_each[1]
    assert b"x-request-id: of-the-test" in of_each[0][0]


@pytest.mark.parametrize("has_lines", [True, False])
@pytest.mark.parametrize("ids", [LINES, LINES[:1], LINES[1:], ()])
def test_head_that_came_before_hears_the_same(
    keyed: Client, direct: Direct, monkeypatch: pytest.MonkeyPatch, ids: tuple[str, ...], has_lines: bool
) -> None:
    """Though nothing is made of the request but its answer. In a crowd others wait each time."""
    monkeypatch.setattr(AccessLog, "has_lines", has_lines)

    async def talk(connection: Connection) -> list[bytes]:
        assert (await connection.ask(request(body_of(1.5), *ids)))[9:12] == b"200"
        told = []
        for direct.admission.waiting in (2048, 2049, 2048):
            for lines in (ids, (*ids, "X-New: 1")):
                other = Connection(keyed.app, keyed.state)
                told.append(await other.ask(request(body_of(2.5), *lines)))
        direct.admission.waiting = 0
        return told

    told = on_connection(keyed, talk)

    assert all(one.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 1\r\n" in one for one in told)
    assert len(direct.heads.known) == 1
    assert [without_id(one) for one in told[::2]] == [without_id(one) for one in told[1::2]]
    assert [b"2049 inputs wait already" in one for one in told[::2]] == [False, True, False]
    assert len({id_of(one) for one in told}) == (1 if LINES[0] in ids else 6)


def test_each_says_what_the_server_says_of_itself_by_then(keyed: Client, direct: Direct) -> None:
    """Its date is another one each second."""

    async def talk(connection: Connection) -> list[bytes]:
        await connection.ask(request(body_of(1.5)))
        (known,) = direct.heads.known.values()
        dates = [[(b"date", b"%d" % second)] for second in range(2)]
        return [direct.refusals.of_known(known, date, asyncio.get_running_loop()) for date in dates]

    told = on_connection(keyed, talk)

    assert [b"\r\ndate: 0\r\n" in told[0], b"\r\ndate: 1\r\n" in told[1]] == [True, True]


def id_of(answer: bytes) -> bytes:
    """In its head."""
    return answer.partition(b"\r\nx-request-id: ")[2].partition(b"\r\n")[0]


def without_id(answer: bytes) -> bytes:
    """The answer, but for the id."""
    return answer.replace(id_of(answer), b"")


@pytest.mark.parametrize("has_lines", [True, False])
def test_head_that_came_before_is_told_and_counted(
    one_model: Path, monkeypatch: pytest.MonkeyPatch, has_lines: bool
) -> None:
    """Where nobody wants a line it is counted all the same."""
    monkeypatch.setattr(AccessLog, "has_lines", has_lines)
    with (
        structlog.testing.capture_logs(processors=[with_request]) as lines,
        held(one_model, max_queue_size=1) as service,
    ):
        service.predict(0, LINES[1])
        wait_until(lambda: service.runs.numbers == [[0]])
        service.waiting(1, 1)
        ids = {id_of(service.predict(9, LINES[1]).recv(65536)).decode() for _ in range(3)}
        count = counted(service, "overloaded")

    refused = [line for line in lines if line.get("status") == 503 and line["path"] == "/predict/timeseries"]
    told = {(line["request_id"], line["traceparent"]) for line in refused}
    assert told == ({(one, "00-a-b-01") for one in ids} if has_lines else set())
    assert (len(ids), count) == (3, 3)


def test_it_is_told_and_counted(one_model: Path) -> None:
    """One line with the caller's ids, one more of its outcome."""
    with (
        structlog.testing.capture_logs(processors=[with_request]) as lines,
        held(one_model, max_queue_size=1) as service,
    ):
        refusal(service, *LINES)
        count = counted(service, "overloaded")

    told = [line for line in lines if line.get("status") == 503 and line["path"] == "/predict/timeseries"]
    assert [(line["event"], line["method"], line["request_id"], line["traceparent"]) for line in told] == [
        ("request", "POST", "of-the-test", "00-a-b-01")
    ]
    assert count == 1


def test_paths_with_parameters_are_counted_by_their_template(one_model: Path) -> None:
    """Never by what a client writes in their place; no model was asked, be it there or not."""
    path = b"/v2/models/timeseries/"
    with held(one_model, max_queue_size=1) as service:
        service.fill(range(2))
        sent = [inference(9), inference(9).replace(path, b"/v2/models/no-such-model-is-there/")]
        statuses = [answer_on(service.send(one))[0] for one in sent]
        lines = get(service, "/metrics")[1].decode().splitlines()

    counts = [line for line in lines if "/v2/models" in line and line.startswith("heed_requests_total")]
    assert statuses == [503, 503]
    assert [line.rpartition(" ")[2] for line in counts] == ["2.0"]
    assert 'model="",outcome="overloaded",route="/v2/models/{name}/infer"' in counts[0]


def test_long_pipeline_of_the_hurried_is_refused_one_by_one(one_model: Path) -> None:
    """Each is told at once, in their order, however many come in one piece."""
    count = 3000
    with held(one_model, max_queue_size=1) as service:
        service.fill(range(2))
        hurried = service.connected()
        hurried.sendall(b"".join(prediction(9, "X-Request-Timeout-Ms: 900") for _ in range(count)))
        with hurried.makefile("rb") as file:
            statuses = [read_answer(file)[0] for _ in range(count)]

    assert statuses == [503] * count


def test_other_requests_of_a_full_worker_are_answered(one_model: Path) -> None:
    """What takes no place is not refused; nor is a method that the path does not take told anything else than that."""
    with held(one_model, max_queue_size=1) as service:
        service.fill(range(2))
        connection = service.connected()
        connection.sendall(asked("/predict/timeseries", method="DELETE") + asked("/models"))
        with connection.makefile("rb") as file:
            statuses = [read_answer(file)[0] for _ in range(2)]

    assert statuses == [405, 200]


def test_client_that_leaves_in_its_pause_is_no_refusal(one_model: Path) -> None:
    """It was told once; what it asked after that nobody waits for."""
    with held(one_model, max_queue_size=1) as service:
        service.fill(range(2))
        left = service.predict(9)
        answer_on(left)
        left.sendall(prediction(10))
        left.close()
        service.runs.let_go()

        assert counted(service, "overloaded") == 1
