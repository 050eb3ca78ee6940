"""GET /metrics of the service's own processes: what all have counted, to whom it is told, and what never is."""

import http.client
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from service.app import COUNTING_SECONDS
from tests.service.patience import PATIENCE_SECONDS, wait_until
from tests.service.processes import greeting, halted, port_of, process, workers_of
from tests.service.test_metrics import OPEN_METRICS, read
from tests.service.wire import BODY

KEY = "a-key-of-the-tests"
PREDICTION = "/predict/timeseries"
ANSWERED = "heed_requests_total{model=timeseries,outcome=ok,route=/predict/timeseries,version=1}"
RUNS = "heed_session_seconds_count{model=timeseries,version=1}"
Answer = tuple[int, dict[str, str], str]


class Service:
    """A process that serves, and its workers."""

    def __init__(self, started: "subprocess.Popen[str]") -> None:
        self.port = port_of(greeting(started, 1))
        self._started = started

    def workers(self) -> list[int]:
        """Their process numbers."""
        return workers_of(self._started)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own: status, headers, text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, text

    def predict(self, times: int) -> None:
        """Ask for predictions, each on a connection of its own."""
        for _ in range(times):
            assert self.ask("POST", PREDICTION, BODY)[0] == 200

    def told(self) -> dict[str, float]:
        """Every sample of the text, once each worker has made its own visible."""
        time.sleep(1.5 * COUNTING_SECONDS)
        return read(self.ask("GET", "/metrics")[2])


@pytest.fixture(scope="module")
def service(one_model: Path) -> Iterator[Service]:
    """Two workers; no test counts on what was asked before it."""
    with process(one_model, HEED_WORKERS="2", HEED_LOG_LEVEL="warning") as started:
        yield Service(started)


def test_workers_add_up_whichever_is_asked(service: Service) -> None:
    """Each has answered some, and each tells the sum of both."""
    one, other = service.workers()
    before = service.told()
    with halted(one):
        service.predict(7)
        told_by_other = service.told()
    with halted(other):
        service.predict(5)
        told_by_one = service.told()

    assert told_by_other[ANSWERED] - before.get(ANSWERED, 0) == 7
    assert told_by_one[ANSWERED] - before.get(ANSWERED, 0) == 12
    assert told_by_one[RUNS] - before.get(RUNS, 0) == 12
    assert told_by_one["heed_queue_length{}"] == 0


def test_what_a_killed_worker_counted_is_kept(service: Service) -> None:
    """Told by the other one at once, and by the one that comes in its place."""
    killed, other = service.workers()
    with halted(other):
        service.predict(9)
    before = service.told()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in service.workers())
    after = service.told()
    wait_until(lambda: len(service.workers()) == 2)
    (newcomer,) = set(service.workers()) - {other}
    with halted(other):
        service.predict(2)
        told_by_newcomer = service.told()

    assert newcomer != killed
    assert after[ANSWERED] == before[ANSWERED] >= 9
    assert told_by_newcomer[ANSWERED] == before[ANSWERED] + 2
    assert told_by_newcomer[RUNS] == before[RUNS] + 2


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "text/plain;version=0.0.4", "text/*;q=0.5"])
def test_text_is_told_by_default(service: Service, accept: str | None) -> None:
    """In the format that every reader knows."""
    status, headers, text = service.ask("GET", "/metrics", headers={"Accept": accept} if accept else {})

    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "heed_queue_length{}" in read(text)


@pytest.mark.parametrize("accept", [OPEN_METRICS, "application/openmetrics-text"])
def test_openmetrics_is_told_to_who_asks_for_it(service: Service, accept: str) -> None:
    """As Prometheus does; an independent reader finds the same series in it."""
    service.predict(1)

    status, headers, text = service.ask("GET", "/metrics", headers={"Accept": accept})

    families = list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    assert status == 200
    assert headers["content-type"].startswith("application/openmetrics-text; version=")
    assert text.endswith("# EOF\n")
    assert sum(len(family.samples) for family in families) == len(service.told())


def test_other_formats_are_refused(service: Service) -> None:
    """406, as everywhere."""
    assert service.ask("GET", "/metrics", headers={"Accept": "application/json"})[0] == 406


def test_head_of_metrics_has_no_body(service: Service) -> None:
    """Its head is that of the text."""
    status, headers, text = service.ask("HEAD", "/metrics")

    assert (status, text) == (200, "")
    assert headers["content-type"].startswith("text/plain")


def test_nothing_that_a_client_sends_becomes_a_label(service: Service) -> None:
    """Fifty of each kind of unknown thing are in the series of the first one, "other" where there is no route."""
    draw = random.Random(7)
    wrong(service, f"w{draw.getrandbits(60):x}")
    before = service.told()
    words = [f"w{draw.getrandbits(60):x}" for _ in range(50)]
    for word in words:
        wrong(service, word)
    after = service.told()

    other = "heed_requests_total{model=,outcome=not-found,route=other,version=}"
    unknown = "heed_requests_total{model=,outcome=unknown-model,route=%s,version=}"
    assert after.keys() == before.keys()
    assert after[other] - before[other] == 100
    assert after[unknown % PREDICTION] - before[unknown % PREDICTION] == 50
    assert after[unknown % "/models/{name}"] - before[unknown % "/models/{name}"] == 50
    assert not [name for name in after if any(word in name for word in words)]


def wrong(service: Service, word: str) -> None:
    """Ask with the word in every place where a client may put one."""
    asked = [
        ("GET", f"/{word}", 404),
        ("GET", f"/models/{word}/samples/{word}", 404),
        ("GET", f"/models/{word}", 404),
        ("GET", f"/models/timeseries?version={word}", 404),
        ("POST", f"{PREDICTION}?model={word}", 404),
        ("POST", f"{PREDICTION}?version={word}", 404),
        ("POST", f"{PREDICTION}?label={word}", 422),
        ("POST", f"{PREDICTION}?attention={word}", 422),
        ("POST", f"{PREDICTION}?{word}={word}", 422),
        (word.upper(), PREDICTION, 400),
        ("PUT", PREDICTION, 405),
    ]
    headers = {"X-Request-ID": word, "traceparent": word, "User-Agent": word, "Origin": word}
    for method, path, status in asked:
        told = service.ask(method, path, BODY if method == "POST" else None, headers)[0]
        assert told == status, (method, path)


@contextmanager
def locked(repository: Path, **settings: str) -> Iterator[Service]:
    """One worker that asks for a key."""
    with process(repository, HEED_API_KEYS=KEY, HEED_LOG_LEVEL="warning", **settings) as started:
        yield Service(started)


def test_metrics_are_for_who_has_a_key(one_model: Path) -> None:
    """Where keys are set and nothing else is said."""
    with locked(one_model) as service:
        without = service.ask("GET", "/metrics")
        wrong_key = service.ask("GET", "/metrics", headers={"X-API-Key": KEY + "x"})
        with_key = service.ask("GET", "/metrics", headers={"X-API-Key": KEY})

    assert (without[0], wrong_key[0], with_key[0]) == (401, 401, 200)
    assert "www-authenticate" in without[1]
    assert "heed_" not in without[2] + wrong_key[2]
    assert "heed_requests_total" in with_key[2]


def test_metrics_can_be_opened(one_model: Path) -> None:
    """They alone: what is predicted still needs a key."""
    with locked(one_model, HEED_OPEN_PATHS="docs,page,metrics") as service:
        told = service.ask("GET", "/metrics")
        prediction = service.ask("POST", PREDICTION, BODY)

    assert told[0] == 200
    assert "heed_requests_total" in told[2]
    assert prediction[0] == 401


def test_turned_off_nothing_is_told(one_model: Path) -> None:
    """An empty answer in either form, and the service works as ever."""
    with process(one_model, HEED_METRICS="false") as started:
        service = Service(started)
        service.predict(3)
        text = service.ask("GET", "/metrics")
        opened = service.ask("GET", "/metrics", headers={"Accept": OPEN_METRICS})

    assert (text[0], text[2]) == (200, "")
    assert (opened[0], opened[2]) == (200, "# EOF\n")
