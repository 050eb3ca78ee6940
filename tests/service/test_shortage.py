"""The service where the system has nothing left for it: no open files, no memory for what workers share."""

import http.client
import json
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from service.metrics_directory import DIRECTORY_VARIABLE
from tests.service.patience import PATIENCE_SECONDS, wait_until
from tests.service.processes import greeting, kill, logged, port_of, process, workers_of
from tests.service.test_counts import small_memory
from tests.service.tiny_models import publish, timeseries_model
from tests.service.wire import BODY

LOAD = "/v2/repository/models/timeseries/load"
PREDICTION = "/predict/timeseries"


class Connection:
    """One that was made while there was place for it, and stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and text."""
        self._connection.request(method, path, body)
        response = self._connection.getresponse()
        return response.status, response.read().decode()

    def close(self) -> None:
        """It is needed no more."""
        self._connection.close()

    def version(self) -> Any:
        """The version that predicts."""
        status, text = self.ask("POST", PREDICTION, BODY)
        assert status == 200
        return json.loads(text)["model"]["version"]


@contextmanager
def spare_files(process_ids: list[int], spare: int) -> Iterator[None]:
    """In this block the processes may open so many files beside those that they have open, or a few more: where the
    system has numbers left between theirs. With 0 they can open none.
    """
    before = {one: resource.prlimit(one, resource.RLIMIT_NOFILE) for one in process_ids}
    for one, (_, hard) in before.items():
        highest = max(int(name) for name in os.listdir(f"/proc/{one}/fd"))
        resource.prlimit(one, resource.RLIMIT_NOFILE, (highest + 1 + spare if spare else 0, hard))
    try:
        yield
    finally:
        for one, limits in before.items():
            resource.prlimit(one, resource.RLIMIT_NOFILE, limits)


@contextmanager
def service(repository: Path, **settings: str) -> Iterator[tuple["subprocess.Popen[str]", Connection]]:
    """Two workers that load on request, and an open connection."""
    publish(repository, "timeseries", "1", timeseries_model())
    more = {"HEED_WORKERS": "2", "HEED_LOG_LEVEL": "warning", "HEED_MODEL_CONTROL": "explicit", **settings}
    with process(repository, **more) as started:
        port = port_of(greeting(started, 1))
        wait_until(lambda: len(workers_of(started)) == 2)
        connection = Connection(port)
        with closing(connection):
            yield started, connection


def test_without_open_files_it_answers_and_says_what_it_cannot(tmp_path: Path) -> None:
    """Predictions go on; the sum of the counts and a load are refused by a problem, with the reason, until there are
    enough: no traceback, and the old version is served meanwhile.
    """
    with service(tmp_path, HEED_MODEL_TRIAL_SECONDS="8") as (started, connection):
        before = connection.version()
        publish(tmp_path, "timeseries", "2", timeseries_model())
        seen = []
        for spare in range(9):
            with spare_files(workers_of(started), spare):
                told, refused = connection.ask("GET", "/metrics"), connection.ask("POST", LOAD, b"{}")
                seen.append((told, refused, connection.version()))
        after = connection.ask("GET", "/metrics"), connection.ask("POST", LOAD, b"{}"), connection.version()
        kill(started)
        assert started.stderr
        log = started.stderr.read()

    assert before == "1"
    assert json.loads(seen[0][0][1])["type"] == "urn:heed:problem:counts-unreadable"
    for told, refused, version in seen:
        assert told[0] in {200, 503}
        assert version == ("2" if refused[0] == 200 else "1")
        assert refused[0] == 200 or "Too many open files" in json.loads(refused[1])["detail"]
    assert [after[0][0], after[1][0], after[2]] == [200, 200, "2"]
    assert "Traceback" not in log


def test_full_shared_memory_ends_no_worker(tmp_path: Path) -> None:
    """Requests are answered and told by the worker that is asked; it is logged once that the others do not see them."""
    with small_memory(tmp_path / "memory", 64) as folder:
        (folder / "full").write_bytes(bytes(60 * 1024))
        with service(tmp_path / "models", **{DIRECTORY_VARIABLE: str(folder)}) as (started, connection):
            (reason,) = {one["reason"] for one in logged(started, "counts are not shown to the other workers", 2)}
            workers = workers_of(started)
            versions = {connection.version() for _ in range(50)}
            status, text = connection.ask("GET", "/metrics")
            still = workers_of(started)

    assert reason == "No space left on device"
    assert versions == {"1"}
    assert status == 200
    assert 'heed_session_seconds_count{model="timeseries",version="1"} 50.0' in text
    assert still == workers
