"""Every Prometheus series of the service, named in one place, and how numbers become them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
RATIOS = tuple(step / 20 for step in range(1, 21))

# The name of a series, then what its labels are.
Key = tuple[str, ...]
# Of a counter and a gauge the value; of a histogram the number of values in each bucket, and their sum.
Numbers = NDArray[np.float64]
Counted = dict[Key, Numbers]
# A model's name and its version; both empty where a request reached none.
Version = tuple[str, str]
NO_VERSION: Version = ("", "")


@dataclass(frozen=True)
class Series:
    """One of them. `bounds`: the upper ones of a histogram's buckets, infinity left out. `over_workers`: what is told
    of several; those that have ended are among them, but for "sum of running".
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ("model", "version")
    kind: Literal["counter", "gauge", "histogram"] = "histogram"
    bounds: tuple[float, ...] = ()
    over_workers: Literal["sum", "sum of running", "latest"] = "sum"

    @property
    def size(self) -> int:
        """How many numbers it has for each of its labels."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    def key(self, *labels: str) -> Key:
        """Where its numbers are, with these labels."""
        return (self.name, *labels)

    def zeros(self) -> Numbers:
        """What it has counted at first."""
        return np.zeros(self.size)

    def family(self, counted: Mapping[Key, Numbers]) -> Metric:
        """As the library wants it."""
        if self.kind == "histogram":
            return self._histogram(counted)
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = kind(self.name, self.meaning, labels=self.labels)
        for key, numbers in counted.items():
            family.add_metric(key[1:], float(numbers[0]))
        return family

    def _histogram(self, counted: Mapping[Key, Numbers]) -> Metric:
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        bounds = [floatToGoString(bound) for bound in (*self.bounds, float("inf"))]  # type: ignore[no-untyped-call]
        for key, numbers in counted.items():
            counts = np.cumsum(numbers[:-1]).tolist()
            family.add_metric(key[1:], list(zip(bounds, counts, strict=True)), float(numbers[-1]))
        return family


OF_REQUEST = ("model", "version", "route", "outcome")
REQUESTS = Series("heed_requests_total", "Requests answered.", OF_REQUEST, "counter")
REQUEST_SECONDS = Series("heed_request_seconds_total", "Time from arrival to answer.", OF_REQUEST, "counter")
QUEUE_LENGTH = Series("heed_queue_length", "Inputs that wait for a run.", (), "gauge", over_workers="sum of running")
DECODE = Series("heed_decode_seconds", "Time to read a request's body into inputs.", bounds=SECONDS)
QUEUE = Series("heed_queue_seconds", "Time that an input waits for its run.", bounds=SECONDS)
SESSION = Series("heed_session_seconds", "Time of one run of the graph.", bounds=SECONDS)
ENCODE = Series("heed_encode_seconds", "Time to write an answer.", bounds=SECONDS)
BATCH = Series("heed_batch_size", "Rows of one run of the graph.", bounds=ROWS)
ENTROPY = Series(
    "heed_attention_entropy_ratio",
    "Entropy of attention weights divided by its largest: 0 is one place, 1 is evenly.",
    ("model", "version", "attention"),
    bounds=RATIOS,
)
LAST_RUN = Series(
    "heed_last_run_timestamp_seconds",
    "When the graph ran last, in seconds since 1970.",
    kind="gauge",
    over_workers="latest",
)
ALL = (REQUESTS, REQUEST_SECONDS, QUEUE_LENGTH, DECODE, QUEUE, SESSION, ENCODE, BATCH, ENTROPY, LAST_RUN)
NAMED = {series.name: series for series in ALL}


def is_known(key: Key, size: int) -> bool:
    """Whether these are the labels, and so many the numbers, of one of them."""
    series = NAMED.get(key[0])
    return series is not None and (len(key), size) == (1 + len(series.labels), series.size)


def version_of(key: Key) -> Version:
    """Which version of a model the numbers are of."""
    return (key[1], key[2]) if len(key) > 2 else NO_VERSION


def add(totals: Counted, key: Key, numbers: Numbers) -> None:
    """Add what one worker has counted, as its series is joined over workers."""
    before = totals.get(key)
    if before is None:
        totals[key] = numbers.copy()
    elif NAMED[key[0]].over_workers == "latest":
        np.maximum(before, numbers, out=before)
    else:
        before += numbers


def of_ended(counted: Counted) -> Counted:
    """What is told on of a worker that has ended."""
    return {key: numbers for key, numbers in counted.items() if NAMED[key[0]].over_workers != "sum of running"}


def text(counted: Counted, accept: str) -> tuple[bytes, str]:
    """All series as text, and its content type: OpenMetrics where the Accept header asks for it."""
    encode, content_type = choose_encoder(accept)
    return encode(_Told(counted)), content_type


def samples(counted: Counted) -> Iterator[tuple[str, dict[str, str], float]]:
    """The same as numbers: name, labels, value of each."""
    for family in _Told(counted).collect():
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def nothing(accept: str) -> tuple[bytes, str]:
    """As `text`, where there are no series."""
    encode, content_type = choose_encoder(accept)
    return encode(CollectorRegistry()), content_type


class _Told:
    """What the library collects."""

    def __init__(self, counted: Counted) -> None:
        self._of_series: dict[str, Counted] = {series.name: {} for series in ALL}
        for key, numbers in counted.items():
            self._of_series[key[0]][key] = numbers

    def collect(self) -> Iterable[Metric]:
        """All families, in their order."""
        return [series.family(self._of_series[series.name]) for series in ALL]
