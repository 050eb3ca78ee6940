"""Who waits no longer, having left or being late: never run, in nobody's way, and told where somebody still listens."""

import json
import logging
from pathlib import Path

import pytest

from tests.service.held import counted, get, held, prediction, statuses
from tests.service.patience import wait_until
from tests.service.wire import answer_on

SOON_MS = 100


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
