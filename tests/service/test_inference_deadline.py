"""parameters.timeout: a request's own time, in microseconds, while its model is busy."""

from pathlib import Path

import orjson

from tests.service.held import counted, held, inference
from tests.service.patience import wait_until
from tests.service.wire import answer_on


def test_who_waits_too_long_is_told_and_not_run(one_model: Path) -> None:
    """504 while another request runs; its place is free again, and the others are answered."""
    with held(one_model) as service:
        (running,) = service.fill([1])
        hurried = service.send(inference(2, timeout=100_000))
        patient = service.send(inference(3))
        status, content = answer_on(hurried)
        wait_until(lambda: service.listening.admission.waiting == 1)
        service.runs.let_go()
        others = [answer_on(connection)[0] for connection in (running, patient)]

        assert (status, orjson.loads(content)["type"]) == (504, "urn:heed:problem:deadline")
        assert others == [200, 200]
        assert service.runs.numbers == [[1], [3]]
        assert counted(service, "deadline") == 1


def test_the_services_own_time_is_kept_too(one_model: Path) -> None:
    """A longer one of a request's own does not lengthen it."""
    with held(one_model, request_timeout_ms=200) as service:
        hurried = service.send(inference(1, timeout=60_000_000))

        assert answer_on(hurried)[0] == 504
