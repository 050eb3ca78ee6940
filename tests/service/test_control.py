"""Models come and go in a service of two workers: whichever is asked, all do it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.service.control_client import asked
from tests.service.patience import wait_until
from tests.service.processes import greeting, port_of, process, workers_of
from tests.service.tiny_models import image_model, model_of, publish
from tests.service.wire import BODY, get

LOAD, UNLOAD = "/v2/repository/models/{}/load", "/v2/repository/models/{}/unload"


@dataclass
class Service:
    """A service and its repository."""

    started: "subprocess.Popen[str]"
    port: int
    repository: Path

    def load(self, name: str = "timeseries", **headers: str) -> tuple[int, Any]:
        """By request."""
        return asked(self.port, LOAD.format(name), b"", **headers)

    def unload(self, name: str = "timeseries") -> tuple[int, Any]:
        """By request."""
        return asked(self.port, UNLOAD.format(name))

    def versions(self, times: int = 40) -> set[str]:
        """Which versions answer on so many fresh connections; the status where it is no 200."""
        answers = [asked(self.port, "/predict/timeseries", BODY) for _ in range(times)]
        return {document["model"]["version"] if status == 200 else str(status) for status, document in answers}

    def index(self, body: bytes = b"") -> dict[tuple[str, str], tuple[str, str]]:
        """State and reason of each version."""
        status, entries = asked(self.port, "/v2/repository/index", body)
        assert status == 200
        return {(one["name"], one["version"]): (one["state"], one["reason"]) for one in entries}

    def models(self) -> dict[str, Any]:
        """GET /models, by name."""
        return {one["name"]: one for one in json.loads(get(self.port, "/models")[1])["models"]}


@contextmanager
def service(repository: Path, **settings: str) -> Iterator[Service]:
    """Two workers, on version 1 of two models."""
    publish(repository, "timeseries", "1", model_of(1))
    publish(repository, "image", "1", image_model())
    with process(repository, **{"HEED_WORKERS": "2", "HEED_MODEL_CONTROL": "explicit", **settings}) as started:
        yield Service(started, port_of(greeting(started, 1)), repository)


def test_version_that_came_is_served_by_all(tmp_path: Path) -> None:
    """Before the load nobody serves it, after its answer everybody does: a hundred fresh connections. The old one is
    there when it is asked for; once its folder is gone, the next load retires it.
    """
    with service(tmp_path) as served:
        publish(tmp_path, "timeseries", "2", model_of(2))
        before = served.versions()
        status, _ = served.load()
        after = served.versions(100)
        old = asked(served.port, "/predict/timeseries?version=1", BODY)[1]["model"]["version"]
        (tmp_path / "timeseries" / "1").rename(tmp_path / ".gone")
        again, _ = served.load()
        gone = [asked(served.port, "/predict/timeseries?version=1", BODY) for _ in range(20)]

    assert (before, status, after, old, again) == ({"1"}, 200, {"2"}, "1", 200)
    assert {(status, document["type"]) for status, document in gone} == {(404, "urn:heed:problem:unknown-version")}


def test_unloaded_until_it_is_loaded(tmp_path: Path) -> None:
    """404 from every worker, in the index as not loaded; a rescan leaves it so, a load brings it back."""
    with service(tmp_path) as served:
        status, _ = served.unload()
        gone, index, models = served.versions(), served.index(), served.models()
        twice = served.unload()
        publish(tmp_path, "image", "2", image_model())
        _hup(served)
        wait_until(lambda: ("image", "2") in served.index(b'{"ready": true}'))
        still = served.versions(10)
        back, _ = served.load()
        again = served.versions()

    assert (status, gone, still, back, again) == (200, {"404"}, {"404"}, 200, {"1"})
    assert index["timeseries", "1"] == ("UNAVAILABLE", "not loaded")
    assert "timeseries" not in models
    assert (twice[0], twice[1]["type"]) == (404, "urn:heed:problem:unknown-model")


def _hup(served: Service) -> None:
    os.kill(served.started.pid, signal.SIGHUP)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hangup_reads_the_repository_anew(tmp_path: Path, workers: str) -> None:
    """Versions that came, models that came, models that are gone; and no process is replaced."""
    with service(tmp_path, HEED_WORKERS=workers) as served:
        before = workers_of(served.started)
        publish(tmp_path, "timeseries", "3", model_of(3))
        publish(tmp_path, "newcomer", "1", model_of(4))
        (tmp_path / "image").rename(tmp_path / ".image")
        _hup(served)
        wait_until(lambda: {("timeseries", "3"), ("newcomer", "1")} <= served.index(b'{"ready": true}').keys())
        versions = served.versions()
        index = {served.index(b'{"ready": true}').keys() == {("timeseries", "1"), ("timeseries", "3"),
                                                            ("newcomer", "1")} for _ in range(10)}  # fmt: skip
        after = workers_of(served.started)

    assert versions == {"3"}
    assert index == {True}
    assert before == after


def test_load_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    """400 says why; every worker shows why; and a good version of a higher number is served by the next load."""
    with service(tmp_path) as served:
        publish(tmp_path, "timeseries", "2", b"nonsense")
        status, document = served.load()
        answers, index = served.versions(), [served.index() for _ in range(10)]
        publish(tmp_path, "timeseries", "3", model_of(3))
        again, _ = served.load()
        after = served.versions()

    assert (status, document["type"]) == (400, "urn:heed:problem:model-refused")
    assert "version 2: onnxruntime cannot load the graph" in document["detail"]
    assert answers == {"1"}
    assert {one["timeseries", "1"] for one in index} == {("READY", "")}
    assert {one["timeseries", "2"][0] for one in index} == {"UNAVAILABLE"}
    assert all("onnxruntime cannot load" in one["timeseries", "2"][1] for one in index)
    assert (again, after) == (200, {"3"})


def test_worker_in_a_dead_ones_place_serves_what_the_others_serve(tmp_path: Path) -> None:
    """What was loaded and what was unloaded meanwhile, not what was there at the start."""
    with service(tmp_path) as served:
        publish(tmp_path, "timeseries", "2", model_of(2))
        assert served.load()[0] == 200
        assert served.unload("image")[0] == 200
        publish(tmp_path, "timeseries", "5", model_of(5))
        before = workers_of(served.started)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(workers_of(served.started)) == 2 and workers_of(served.started) != before)
        os.kill(before[1], signal.SIGKILL)
        wait_until(lambda: len(workers_of(served.started)) == 2 and before[1] not in workers_of(served.started))
        wait_until(lambda: served.versions(3) == {"2"})
        versions, models = served.versions(), set(served.models())

    assert versions == {"2"}
    assert models == {"timeseries"}


def test_default_that_is_pinned(tmp_path: Path) -> None:
    """Not the highest; that is how one rolls back. What is asked for by number is there too."""
    publish(tmp_path, "timeseries", "2", model_of(2))
    with service(tmp_path, HEED_DEFAULT_VERSIONS="timeseries=1") as served:
        versions = served.versions()
        other = asked(served.port, "/predict/timeseries?version=2", BODY)[1]["model"]["version"]
        default = served.models()["timeseries"]["default_version"]

    assert (versions, other, default) == ({"1"}, "2", "1")


def test_so_many_versions_are_served(tmp_path: Path) -> None:
    """The highest, and the pinned one."""
    for number in (2, 3, 10):
        publish(tmp_path, "timeseries", str(number), model_of(number))
    with service(tmp_path, HEED_SERVED_VERSIONS="2", HEED_DEFAULT_VERSIONS="timeseries=1") as served:
        ready = served.index(b'{"ready": true}')
        versions = served.versions(5)

    assert [version for name, version in ready if name == "timeseries"] == ["1", "3", "10"]
    assert versions == {"1"}


def test_control_is_asked_for_and_not_for_pages(tmp_path: Path) -> None:
    """403 without the setting; 403 to a page of another origin; a page of the service's own may."""
    with service(tmp_path, HEED_WORKERS="1") as served:
        own = f"http://127.0.0.1:{served.port}"
        statuses = {
            origin: served.load(Origin=origin)[0] for origin in (own, "https://example.org", "null", own + "1", "")
        }
        refused = served.load(Origin="https://example.org")[1]
    with process(tmp_path) as started:
        port = port_of(greeting(started, 1))
        disabled = [asked(port, path.format("timeseries")) for path in (LOAD, UNLOAD)]
        index = asked(port, "/v2/repository/index")[0]

    assert statuses == {own: 200, "https://example.org": 403, "null": 403, own + "1": 403, "": 403}
    assert refused["type"] == "urn:heed:problem:foreign-origin"
    assert [(status, document["type"]) for status, document in disabled] == [
        (403, "urn:heed:problem:control-disabled")
    ] * 2
    assert index == 200


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker, for all that changes nothing; a load may read the same again."""
    with service(tmp_path_factory.mktemp("unchanged"), HEED_WORKERS="1") as served:
        yield served


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        (LOAD.format("nobody"), b"", 404, "unknown-model"),
        (LOAD.format("..%2F"), b"", 404, "not-found"),
        (LOAD.format(".hidden"), b"", 404, "unknown-model"),
        (LOAD.format("%00"), b"", 404, "unknown-model"),
        (LOAD.format("a" * 300), b"", 404, "unknown-model"),
        (UNLOAD.format("nobody"), b"", 404, "unknown-model"),
        (LOAD.format("timeseries"), b"{", 400, "malformed-body"),
        (LOAD.format("timeseries"), b'{"parameters": {"config": "{}"}}', 422, "invalid-input"),
        ("/v2/repository/index", b'{"ready": "perhaps"}', 422, "invalid-input"),
    ],
)
def test_what_cannot_be_done(unchanged: Service, path: str, body: bytes, status: int, word: str) -> None:
    """Each is told as a problem, and nothing changes."""
    told, document = asked(unchanged.port, path, body)
    versions = unchanged.versions(3)

    assert (told, document["type"]) == (status, f"urn:heed:problem:{word}")
    assert versions == {"1"}


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/v2/repository/index", b'{"ready": 1}', "ready is 1, expected is true or false"),
        (LOAD.format("timeseries"), b'{"parameters": []}', "parameters is an array, expected is an object"),
    ],
)
def test_what_is_no_control_body_is_told(unchanged: Service, path: str, body: bytes, detail: str) -> None:
    """With what is expected there."""
    assert asked(unchanged.port, path, body)[1]["detail"] == detail


@pytest.mark.parametrize("body", [b'{"parameters": null}', b'{"parameters": {"config": null}}'])
def test_null_is_as_good_as_absent(unchanged: Service, body: bytes) -> None:
    """In a load as in an inference request, and in the index."""
    loaded, _ = asked(unchanged.port, LOAD.format("timeseries"), body)

    assert loaded == 200
    assert unchanged.index(b'{"ready": null}') == unchanged.index()
