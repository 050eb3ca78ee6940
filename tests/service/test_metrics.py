"""What the service counts: in one process, over several, and after one of them has died."""

import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from models.answer import Outputs
from service.metrics import Metrics, Unmetered
from service.metrics_directory import DIRECTORY_VARIABLE, metrics_directory, named_directory
from tests.models.test_answer import CONTRACT

OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3"
SPAWN = multiprocessing.get_context("spawn")
PATIENCE_SECONDS = 30


def outputs() -> Outputs:
    """Of four rows: two look at two places evenly, two at one place."""
    weights = np.array([[[0.5], [0.5]], [[1.0], [0.0]]] * 2, np.float32)
    return Outputs(CONTRACT, {"attention": weights})


def fill(metrics: Metrics, times: int = 1) -> None:
    """Something in every series."""
    model = metrics.of_model("timeseries", "1")
    for _ in range(times):
        metrics.count_request("/predict/timeseries", "ok", "timeseries", "1")
        metrics.count_request("/predict/timeseries", "invalid-input")
        model.decoded(0.0001)
        model.queued([0.0003])
        model.ran(outputs(), 4, 0.002)
        model.encoded(0.00004)
    metrics.queue_length(3 * times)


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample of the text, `name{label=value,…}` → value."""
    metrics.count()
    return read(metrics.exposition("")[0].decode())


def read(text: str) -> dict[str, float]:
    """The same of a text, as an independent reader reads it."""
    return {
        one.name + "{" + ",".join(f"{name}={value}" for name, value in sorted(one.labels.items())) + "}": one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_requests_are_counted_by_model_route_and_outcome() -> None:
    """A request that reached no model has an empty one."""
    metrics = Metrics()

    fill(metrics, 2)
    fill(metrics)

    told = samples(metrics)
    assert told["heed_requests_total{model=timeseries,outcome=ok,route=/predict/timeseries,version=1}"] == 3
    assert told["heed_requests_total{model=,outcome=invalid-input,route=/predict/timeseries,version=}"] == 3


def test_times_and_rows_fall_into_their_buckets() -> None:
    """A bucket's bound belongs to it; sums are in seconds, rows and ratios."""
    metrics = Metrics()

    fill(metrics, 2)

    told = samples(metrics)
    assert told["heed_batch_size_bucket{le=2.0,model=timeseries,version=1}"] == 0
    assert told["heed_batch_size_bucket{le=4.0,model=timeseries,version=1}"] == 2
    assert told["heed_batch_size_sum{model=timeseries,version=1}"] == 8
    assert told["heed_decode_seconds_bucket{le=0.0001,model=timeseries,version=1}"] == 2
    assert told["heed_session_seconds_bucket{le=0.001,model=timeseries,version=1}"] == 0
    assert told["heed_session_seconds_bucket{le=0.002,model=timeseries,version=1}"] == 2
    assert told["heed_queue_seconds_sum{model=timeseries,version=1}"] == pytest.approx(0.0006)
    assert told["heed_encode_seconds_bucket{le=5e-05,model=timeseries,version=1}"] == 2
    assert told["heed_attention_entropy_ratio_bucket{attention=attention,le=0.25,model=timeseries,version=1}"] == 4
    assert told["heed_attention_entropy_ratio_count{attention=attention,model=timeseries,version=1}"] == 8


def test_what_is_no_number_does_not_spoil_the_sum() -> None:
    """A sum that once was NaN stays NaN."""
    metrics = Metrics()

    metrics.of_model("timeseries", "1").looked("attention", np.array([np.nan, 0.5], np.float32))

    told = samples(metrics)
    assert told["heed_attention_entropy_ratio_sum{attention=attention,model=timeseries,version=1}"] == 0.5


def test_the_queue_is_as_long_as_was_said_last() -> None:
    """It is 0 before the first word."""
    metrics = Metrics()
    before = samples(metrics)["heed_queue_length{}"]

    metrics.queue_length(7)
    metrics.queue_length(2)

    assert (before, samples(metrics)["heed_queue_length{}"]) == (0, 2)


def test_a_model_that_is_loaded_again_counts_on() -> None:
    """The same name and version are the same series."""
    metrics = Metrics()

    for _ in range(2):
        metrics.of_model("timeseries", "1").ran(outputs(), 1, 0.001)

    assert samples(metrics)["heed_session_seconds_count{model=timeseries,version=1}"] == 2


def test_two_of_them_do_not_know_each_other() -> None:
    """Each application in a process counts its own."""
    one, other = Metrics(), Metrics()

    fill(one)

    assert samples(one)["heed_queue_length{}"] == 3
    assert samples(other) == {"heed_queue_length{}": 0}


def test_the_text_is_what_accept_asks_for() -> None:
    """Prometheus asks for OpenMetrics, a browser gets plain text; both say the same."""
    metrics = Metrics()
    fill(metrics)

    plain, plain_type = metrics.exposition("text/html,*/*;q=0.8")
    opened, opened_type = metrics.exposition(OPEN_METRICS)

    assert plain_type.startswith("text/plain; version=0.0.4")
    assert opened_type.startswith("application/openmetrics-text; version=1.0.0")
    families = openmetrics.text_string_to_metric_families(opened.decode())  # type: ignore[no-untyped-call]
    values = {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}
    assert len(values) == len(read(plain.decode()))


def test_names_keep_the_conventions() -> None:
    """Our prefix, a base unit at the end, a sentence each, and nothing that a second process would not have."""
    metrics = Metrics()
    fill(metrics)

    families = list(text_string_to_metric_families(metrics.exposition("")[0].decode()))

    assert {family.name: family.type for family in families} == {
        "heed_requests": "counter",
        "heed_request_seconds": "counter",
        "heed_queue_length": "gauge",
        "heed_last_run_timestamp_seconds": "gauge",
        "heed_decode_seconds": "histogram",
        "heed_queue_seconds": "histogram",
        "heed_session_seconds": "histogram",
        "heed_encode_seconds": "histogram",
        "heed_batch_size": "histogram",
        "heed_attention_entropy_ratio": "histogram",
    }
    assert [family.name for family in families if not family.documentation.endswith(".")] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool comes with Prometheus")
def test_promtool_finds_nothing() -> None:
    """Prometheus' own check of names and form."""
    metrics = Metrics()
    fill(metrics)

    told = subprocess.run(["promtool", "check", "metrics"], input=metrics.exposition("")[0], capture_output=True)

    assert (told.returncode, told.stdout + told.stderr) == (0, b"")


def test_turned_off_nothing_is_counted() -> None:
    """The same calls, no series."""
    metrics = Unmetered()

    fill(metrics)

    assert metrics.exposition("")[0] == b""
    assert list(metrics.samples()) == []
    assert not metrics.is_counting


@dataclass(frozen=True)
class Worker:
    """A process that counts, as the service starts them: with the folder in its environment."""

    process: SpawnProcess
    connection: Connection

    def ask(self, times: int) -> dict[str, float]:
        """Have it fill every series so many times; what it exposes then."""
        self.connection.send(times)
        assert self.connection.poll(PATIENCE_SECONDS), "the worker is silent"
        return read(self.connection.recv())

    def kill(self) -> None:
        """As the kernel does where memory is short."""
        self.process.kill()
        self.process.join(PATIENCE_SECONDS)


def _count(connection: Connection) -> None:
    metrics = Metrics(named_directory())
    while True:
        fill_times = connection.recv()
        if fill_times:
            fill(metrics, fill_times)
        metrics.count()
        connection.send(metrics.exposition("")[0].decode())


@contextmanager
def worker() -> Iterator[Worker]:
    """One, killed at the end of the block."""
    ours, its = SPAWN.Pipe()
    with ours, its:
        process = SPAWN.Process(target=_count, args=(its,))
        process.start()
        try:
            yield Worker(process, ours)
        finally:
            process.kill()
            process.join()
            process.close()


@pytest.fixture
def _shared(tmp_path: Path) -> Iterator[None]:
    """A folder for the workers; the operator's variable is left alone."""
    assert DIRECTORY_VARIABLE not in os.environ, "the tests make their own folder"
    with metrics_directory(tmp_path):
        yield


@pytest.mark.usefixtures("_shared")
def test_workers_add_up_whichever_is_asked() -> None:
    """Counters, histograms and the queue's length are sums over all workers."""
    with worker() as one, worker() as other:
        one.ask(2)
        told = other.ask(3)
        same = one.ask(0)

    assert told == same
    assert told["heed_requests_total{model=timeseries,outcome=ok,route=/predict/timeseries,version=1}"] == 5
    assert told["heed_session_seconds_count{model=timeseries,version=1}"] == 5
    assert told["heed_session_seconds_bucket{le=+Inf,model=timeseries,version=1}"] == 5
    assert told["heed_session_seconds_sum{model=timeseries,version=1}"] == pytest.approx(0.01)
    assert told["heed_queue_length{}"] == 6 + 9


@pytest.mark.usefixtures("_shared")
def test_who_was_killed_waits_for_nothing_and_has_counted() -> None:
    """A counter never falls, and a queue that is gone is not told as waiting; nor is it once another has come."""
    count = "heed_requests_total{model=timeseries,outcome=ok,route=/predict/timeseries,version=1}"
    with ExitStack() as stack:
        one, other = stack.enter_context(worker()), stack.enter_context(worker())
        one.ask(2)
        before = other.ask(3)
        one.kill()
        after = other.ask(0)
        newcomer = stack.enter_context(worker())
        replaced = newcomer.ask(1)

    assert (before[count], before["heed_queue_length{}"]) == (5, 15)
    assert (after[count], after["heed_queue_length{}"]) == (5, 9)
    assert (replaced[count], replaced["heed_queue_length{}"]) == (6, 12)
    assert after["heed_session_seconds_count{model=timeseries,version=1}"] == 5


@pytest.mark.usefixtures("_shared")
def test_names_of_several_workers_are_those_of_one() -> None:
    """Dashboards need not know how many there are."""
    alone = Metrics()
    fill(alone)

    with worker() as one:
        told = one.ask(1)

    told_alone = samples(alone)
    last = "heed_last_run_timestamp_seconds{model=timeseries,version=1}"
    assert told.pop(last) > told_alone.pop(last)
    assert told == told_alone
