"""More than can be answered: who comes then is told before a body is sent, and who came before is answered."""

import json
import select
from pathlib import Path

import pytest
import structlog

from service.exchange import with_request
from tests.service.conftest import SERIES
from tests.service.held import get, head, held, prediction, statuses
from tests.service.patience import wait_until
from tests.service.wire import BODY, answer_on, asked, begin_request, read_answer, until_closed


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
