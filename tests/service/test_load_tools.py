"""What load tools read: Triton's configuration and statistics, the same whichever worker is asked."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.model_statistics import statistics, totals_of
from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.conftest import SERIES
from tests.service.inference import REFUSED, asked, binary_series, in_json
from tests.service.processes import halted, process
from tests.service.test_exposition import Service
from tests.service.tiny_models import publish, timeseries_model

STATS = "/v2/models/timeseries/stats"
ROWS = np.array([SERIES] * 3, np.float32)


def test_configuration_of_series(client: Client) -> None:
    """Shapes without the batch axis, and how many rows a request may have."""
    document = client.get("/v2/models/any_length/config").json()

    assert document["name"] == "any_length"
    assert (document["platform"], document["backend"]) == ("onnxruntime_onnx", "onnxruntime")
    assert document["max_batch_size"] == 40
    assert document["input"] == [{"name": "sequence", "data_type": "TYPE_FP32", "dims": [-1, 2]}]
    assert {"name": "contributions", "data_type": "TYPE_FP32", "dims": [2, -1]} in document["output"]
    execution = client.get("/models/any_length").json()["execution"]
    assert document["dynamic_batching"] == {
        "preferred_batch_size": [execution["max_batch_size"]],
        "max_queue_delay_microseconds": 0,
    }
    assert document["instance_group"][0]["count"] == execution["parallel_runs"]


def test_configuration_of_pictures(client: Client) -> None:
    """By version too."""
    document = client.get("/v2/models/colour/versions/1/config").json()

    assert document["input"] == [{"name": "image", "data_type": "TYPE_UINT8", "dims": [6, 4, 3]}]
    assert document == client.get("/v2/models/colour/config").json()


def test_queue_delay_is_told(one_model: Path) -> None:
    """In microseconds."""
    with running(Settings(model_repository=one_model, max_queue_delay_ms=0.5)) as client:
        document = client.get("/v2/models/timeseries/config").json()

    assert document["dynamic_batching"]["max_queue_delay_microseconds"] == 500


def stats(client: Client, path: str = STATS) -> dict[str, Any]:
    """Those of the one version that the path names."""
    (only,) = client.get(path).json()["model_stats"]
    document: dict[str, Any] = only
    return document


def test_nothing_was_counted_at_first(one_model: Path) -> None:
    """Zeros, all of them true."""
    with running(Settings(model_repository=one_model)) as client:
        document = stats(client)

    counts = document.pop("inference_stats")
    assert document == {
        "name": "timeseries", "version": "1", "last_inference": 0, "inference_count": 0, "execution_count": 0,
        "batch_stats": [],
    }  # fmt: skip
    assert set(map(str, counts.values())) == {"{'count': 0, 'ns': 0}"}
    assert counts.keys() == {
        "success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss",
    }  # fmt: skip


def test_requests_rows_and_times_are_counted(one_model: Path) -> None:
    """Those of both interfaces; what is refused is a failure, and what reached no model is not counted for it."""
    with running(Settings(model_repository=one_model)) as client:
        begun = time.time()
        assert asked(client, binary_series(ROWS)).status_code == 200
        assert client.post("/predict/timeseries", json={"sequence": SERIES}).status_code == 200
        assert asked(client, in_json({"inputs": []})).status_code == REFUSED[0]
        assert asked(client, binary_series(ROWS), "nope").status_code == 404
        whole, of_version = stats(client), stats(client, "/v2/models/timeseries/versions/1/stats")
        everything = client.get("/v2/models/stats").json()["model_stats"]
        ended = time.time()

    assert [whole] == [of_version] == everything
    assert (whole["inference_count"], whole["execution_count"]) == (4, 2)
    assert begun * 1000 - 1 <= whole["last_inference"] <= ended * 1000 + 1
    counts = whole["inference_stats"]
    assert {name: one["count"] for name, one in counts.items()} == {
        "success": 2, "fail": 1, "queue": 2, "compute_input": 2, "compute_infer": 2, "compute_output": 2,
        "cache_hit": 0, "cache_miss": 0,
    }  # fmt: skip
    stages = [counts[name]["ns"] for name in ("queue", "compute_input", "compute_infer", "compute_output")]
    assert min(*stages, counts["fail"]["ns"]) > 0
    assert sum(stages) <= counts["success"]["ns"] <= (ended - begun) * 1e9


def test_numbers_are_whole(one_model: Path) -> None:
    """Load tools read unsigned integers, and stop at a number with a point."""
    with running(Settings(model_repository=one_model)) as client:
        asked(client, binary_series(ROWS))
        text = client.get(STATS).text

    assert "." not in text
    assert "e+" not in text


def test_each_version_is_told(tmp_path: Path) -> None:
    """By model all that are served; a model of the name that stands for all is asked for by its version."""
    for name, version in (("timeseries", "1"), ("timeseries", "2"), ("stats", "1")):
        publish(tmp_path, name, version, timeseries_model())
    publish(tmp_path, "timeseries", "3", b"nonsense")
    with running(Settings(model_repository=tmp_path)) as client:
        asked(client, binary_series(ROWS))
        of_model, everything = (client.get(path).json()["model_stats"] for path in (STATS, "/v2/models/stats"))
        named_so = client.get("/v2/models/stats/versions/1").json()["name"]

    assert [(one["version"], one["inference_count"]) for one in of_model] == [("1", 0), ("2", 3)]
    assert sorted((one["name"], one["version"]) for one in everything) == [
        ("stats", "1"), ("timeseries", "1"), ("timeseries", "2"),
    ]  # fmt: skip
    assert named_so == "stats"


@pytest.mark.parametrize("path", [STATS, "/v2/models/timeseries/versions/1/stats", "/v2/models/stats"])
def test_turned_off_it_says_so(one_model: Path, path: str) -> None:
    """No zeros that could be taken for true; and the extension is not listed."""
    with running(Settings(model_repository=one_model, metrics=False)) as client:
        refused = client.get(path)
        extensions = client.get("/v2").json()["extensions"]

    assert "HEED_METRICS" in problem(refused, 404, "no-statistics")
    assert "statistics" not in extensions


def test_other_routes_outcomes_and_series_are_summed() -> None:
    """By hand: all routes together, "ok" apart from the rest; nothing without a model, no buckets."""
    of = {"model": "m", "version": "1"}
    totals = totals_of(
        [
            ("heed_requests_total", {**of, "route": "/a", "outcome": "ok"}, 2),
            ("heed_requests_total", {**of, "route": "/b", "outcome": "ok"}, 3),
            ("heed_requests_total", {**of, "route": "/b", "outcome": "deadline"}, 4),
            ("heed_requests_total", {**of, "route": "/b", "outcome": "gone"}, 1),
            ("heed_requests_total", {"model": "", "version": "", "route": "/b", "outcome": "ok"}, 9),
            ("heed_request_seconds_total", {**of, "route": "/b", "outcome": "ok"}, 0.5),
            ("heed_batch_size_bucket", {**of, "le": "+Inf"}, 7),
            ("heed_batch_size_count", of, 7),
            ("heed_batch_size_sum", of, 21),
            ("heed_queue_length", {}, 5),
        ]
    )

    document = statistics(("m", "1"), totals["m", "1"])

    assert list(totals) == [("m", "1")]
    assert document["inference_stats"]["success"] == {"count": 5, "ns": 500_000_000}
    assert document["inference_stats"]["fail"] == {"count": 5, "ns": 0}
    assert (document["inference_count"], document["execution_count"]) == (21, 7)


@pytest.fixture(scope="module")
def service(one_model: Path) -> Iterator[Service]:
    """Two workers."""
    with process(one_model, HEED_WORKERS="2", HEED_LOG_LEVEL="warning") as started:
        yield Service(started)


def test_what_was_answered_before_the_question_is_counted(service: Service) -> None:
    """Whichever workers answered, and whichever is asked."""
    for _ in range(5):
        before = counted(service)
        service.predict(4)

        assert counted(service) - before == 4


def counted(service: Service) -> int:
    """The rows that ran."""
    count: int = json.loads(service.ask("GET", STATS)[2])["model_stats"][0]["inference_count"]
    return count


def test_every_worker_tells_of_all(service: Service) -> None:
    """Each has answered some; either tells the sum."""
    one, other = service.workers()
    before = counted(service)
    with halted(one):
        service.predict(5)
    with halted(other):
        service.predict(3)
    service.told()
    told = []
    for halted_one in (one, other):
        with halted(halted_one):
            told.append(json.loads(service.ask("GET", STATS)[2])["model_stats"][0])

    assert told[0] == told[1]
    assert told[0]["inference_count"] == told[0]["inference_stats"]["success"]["count"] == before + 8
