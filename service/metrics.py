"""Every Prometheus series of the service, named in one place; each is of all workers, a sum or the latest."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MutexValue, ValueClass

from models.answer import Outputs
from service.metrics_directory import DIRECTORY_VARIABLE
from service.observations import Observations
from service.processes import is_alive

SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
RATIOS = tuple(step / 20 for step in range(1, 21))
OF_MODEL = ("model", "version")

# Several workers have no series of when a count began; one worker then has none either.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """What this process counts, and the text for Prometheus. One of it in a process: where there are several workers,
    their files are named after the process.
    """

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._requests = Counter(
            "heed_requests_total", "Requests answered.", (*OF_MODEL, "route", "outcome"), registry=own
        )
        self._request_seconds = Counter(
            "heed_request_seconds_total", "Time from arrival to answer.", (*OF_MODEL, "route", "outcome"), registry=own
        )
        self._queue_length = Gauge(
            "heed_queue_length", "Inputs that wait for a run.", multiprocess_mode="livesum", registry=own
        )
        self._of_models = _OfModels(own)
        self._counts: dict[tuple[str, str, str, str], tuple[int, float]] = {}
        self._waiting = 0
        self._models: dict[tuple[str, str], ModelMetrics] = {}
        self._directory = _workers_directory()
        self._exposed = own if self._directory is None else _sum_of_workers(self._directory)
        # A process of the same number may have ended here before, and left its last length.
        self._queue_length.set(0)

    def of_model(self, name: str, version: str) -> "ModelMetrics":
        """The series of one version of a model."""
        if (name, version) not in self._models:
            self._models[name, version] = ModelMetrics(self._of_models, name, version)
        return self._models[name, version]

    @property
    def is_counting(self) -> bool:
        """Whether there is anything to be told."""
        return True

    @property
    def is_shared(self) -> bool:
        """Whether other workers count too, and make it visible at their own times."""
        return self._directory is not None

    def count_request(self, route: str, outcome: str, model: str = "", version: str = "", seconds: float = 0.0) -> None:
        """One more answer, that long after its request. `route` is a path's template, never the path itself; `outcome`
        is "ok", or the word of the problem: each combination is a series that stays.
        """
        labels = (model, version, route, outcome)
        count, before = self._counts.get(labels, (0, 0.0))
        self._counts[labels] = (count + 1, before + seconds)

    def queue_length(self, waiting: int) -> None:
        """How many inputs wait in this worker now."""
        self._waiting = waiting

    def count(self) -> None:
        """Make what was noted until now visible to whoever scrapes, whichever worker is asked. On the event loop."""
        for labels, (count, seconds) in self._counts.items():
            self._requests.labels(*labels).inc(count)
            self._request_seconds.labels(*labels).inc(seconds)
        self._counts.clear()
        self._queue_length.set(self._waiting)
        for model in self._models.values():
            model.count()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All series as text, and its content type: OpenMetrics where the Accept header asks for it."""
        if self._directory is not None:
            _forget_queues_of_the_dead(self._directory)
        encode, content_type = choose_encoder(accept)
        return encode(self._exposed), content_type

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """The same as numbers: name, labels, value of each."""
        for family in self._exposed.collect():
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value


class _OfModels:
    """What is observed of every model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        histogram = partial(Histogram, registry=registry)
        self.decode = histogram(
            "heed_decode_seconds", "Time to read a request's body into inputs.", OF_MODEL, buckets=SECONDS
        )
        self.queue = histogram("heed_queue_seconds", "Time that an input waits for its run.", OF_MODEL, buckets=SECONDS)
        self.session = histogram("heed_session_seconds", "Time of one run of the graph.", OF_MODEL, buckets=SECONDS)
        self.encode = histogram("heed_encode_seconds", "Time to write an answer.", OF_MODEL, buckets=SECONDS)
        self.batch = histogram("heed_batch_size", "Rows of one run of the graph.", OF_MODEL, buckets=ROWS)
        self.entropy = histogram(
            "heed_attention_entropy_ratio",
            "Entropy of attention weights divided by its largest: 0 is one place, 1 is evenly.",
            (*OF_MODEL, "attention"),
            buckets=RATIOS,
        )
        self.last_run = Gauge(
            "heed_last_run_timestamp_seconds",
            "When the graph ran last, in seconds since 1970.",
            OF_MODEL,
            multiprocess_mode="max",
            registry=registry,
        )


class ModelMetrics:
    """The series of one version of a model, bound once."""

    def __init__(self, series: _OfModels, name: str, version: str) -> None:
        self.name = name
        self.version = version
        decode, queue, session, encode, batch = (
            Observations(one.labels(name, version))
            for one in (series.decode, series.queue, series.session, series.encode, series.batch)
        )
        self._entropy_of = partial(series.entropy.labels, name, version)
        self._entropy: dict[str, Observations] = {}
        self._all = [decode, queue, session, encode, batch]
        self._session, self._batch = session, batch
        self._tell_last_run: Callable[[float], None] = series.last_run.labels(name, version).set
        self._last_run = 0.0
        # Bound once: they are called for every request.
        self.decoded: Callable[[float], None] = decode.observe
        self.queued: Callable[[Iterable[float]], None] = queue.observe_all
        self.encoded: Callable[[float], None] = encode.observe

    def ran(self, outputs: Outputs, rows: int, seconds: float) -> None:
        """The graph ran once, with that many rows; attention is looked at where it was fetched."""
        self._batch.observe(rows)
        self._session.observe(seconds)
        self._last_run = time.time()
        for attention, ratios in outputs.entropy_ratios():
            self.looked(attention, ratios)

    def looked(self, attention: str, ratios: NDArray[np.float32]) -> None:
        """Entropy ratios of one attention output, one for each row."""
        seen = self._entropy.get(attention)
        if seen is None:
            seen = self._entropy[attention] = Observations(self._entropy_of(attention))
            self._all.append(seen)
        # Of NaN the sum would be NaN for ever.
        seen.observe_all(ratios[~np.isnan(ratios)].tolist())

    def count(self) -> None:
        """As Metrics.count."""
        for one in self._all:
            one.count()
        if self._last_run:
            self._tell_last_run(self._last_run)


class Unmetered(Metrics):
    """In the place of Metrics where they are turned off: counts nothing, says nothing."""

    def __init__(self) -> None:
        pass  # Nothing of Metrics is made: its series would be shown, empty, and its files written.

    @property
    def is_counting(self) -> bool:
        """There is nothing."""
        return False

    @property
    def is_shared(self) -> bool:
        """Nor anywhere else."""
        return False

    def of_model(self, name: str, version: str) -> ModelMetrics:
        """It has its name, and counts nothing."""
        return _UnmeteredModel(name, version)

    def count_request(self, route: str, outcome: str, model: str = "", version: str = "", seconds: float = 0.0) -> None:
        """Nothing."""

    def queue_length(self, waiting: int) -> None:
        """Nothing."""

    def count(self) -> None:
        """Nothing."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """No series."""
        encode, content_type = choose_encoder(accept)
        return encode(CollectorRegistry()), content_type

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """None."""
        return iter(())


class _UnmeteredModel(ModelMetrics):
    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.decoded = self.queued = self.encoded = _ignore

    def ran(self, outputs: Outputs, rows: int, seconds: float) -> None:
        pass

    def looked(self, attention: str, ratios: NDArray[np.float32]) -> None:
        pass


def _ignore(seen: Any) -> None:
    pass


def _workers_directory() -> Path | None:
    # The library has decided when it was imported; the environment of now may say otherwise.
    return None if ValueClass is MutexValue else Path(os.environ[DIRECTORY_VARIABLE])


def _sum_of_workers(directory: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    return registry


def _forget_queues_of_the_dead(directory: Path) -> None:
    """Who ended waits for nothing; what it counted stays. Its two files of counts stay too, a few dozen KB which every
    scrape reads in a millisecond: a service whose workers died by the hundred should be started anew.
    """
    for file in directory.glob("gauge_live*.db"):
        process_id = int(file.stem.rpartition("_")[2])
        if not is_alive(process_id):
            with suppress(FileNotFoundError):  # another worker is asked at the same time
                mark_process_dead(process_id, str(directory))  # type: ignore[no-untyped-call]
