"""Single values among what the service counts, and all of them told as numbers."""

import time

import numpy as np

from service.metrics import Metrics
from tests.service.test_metrics import fill, outputs, samples


def test_seconds_of_requests_are_summed() -> None:
    """With the same labels as their number."""
    metrics = Metrics()

    for seconds in (0.25, 0.5):
        metrics.count_request("/predict/timeseries", "ok", "timeseries", "1", seconds)

    labels = "{model=timeseries,outcome=ok,route=/predict/timeseries,version=1}"
    assert samples(metrics)["heed_request_seconds_total" + labels] == 0.75


def test_the_last_run_is_told() -> None:
    """In seconds since 1970; 0 before the first."""
    metrics = Metrics()
    before = samples_of_last_run(metrics, runs=0)
    begun = time.time()

    after = samples_of_last_run(metrics, runs=1)

    assert before == 0
    assert begun <= after <= time.time()


def samples_of_last_run(metrics: Metrics, runs: int) -> float:
    """The series, after so many more runs."""
    model = metrics.of_model("timeseries", "1")
    for _ in range(runs):
        model.ran(outputs(), 1, 0.001)
    return samples(metrics)["heed_last_run_timestamp_seconds{model=timeseries,version=1}"]


def test_what_is_told_as_text_is_told_as_numbers() -> None:
    """Name by name; of counters the library's text has more zeros."""
    metrics = Metrics()
    fill(metrics)

    text = samples(metrics)

    numbers = {
        name + "{" + ",".join(f"{label}={value}" for label, value in sorted(labels.items())) + "}": value
        for name, labels, value in metrics.samples()
    }
    assert numbers == text
    assert metrics.is_counting


def test_an_even_spread_is_within_the_last_bound() -> None:
    """1 is the largest ratio there is."""
    metrics = Metrics()

    metrics.of_model("timeseries", "1").looked("attention", np.ones(1, np.float32))

    labels = "{attention=attention,le=%s,model=timeseries,version=1}"
    told = samples(metrics)
    assert told["heed_attention_entropy_ratio_bucket" + labels % "0.95"] == 0
    assert told["heed_attention_entropy_ratio_bucket" + labels % "1.0"] == 1
