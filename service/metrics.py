"""What this process counts: noted on the way of a request, counted a few times a second, told of all workers."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from models.answer import Outputs
from service import series
from service.counts import Counts
from service.entropies import Entropies
from service.observations import Observations
from service.problems import CountsUnreadable
from service.series import NO_VERSION, Counted, Version

# Of the versions that are served no more, so many are told on: a scrape sees their last requests, and one that comes
# back soon counts on. So many more are kept untold: until then every worker has ceased to tell them.
TOLD_GONE, KEPT_GONE = 8, 16


class Metrics:
    """What this process counts, and the text for Prometheus. One of it in a process, where `directory` is given: there
    each worker shows what it has counted.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._counts = Counts(directory)
        self._queue_length = self._counts.numbers(series.QUEUE_LENGTH)
        self._requests: dict[tuple[str, str, str, str], tuple[int, float]] = {}
        self._waiting = 0
        self._models: dict[Version, ModelMetrics] = {}
        # Who is served no more, the longest first.
        self._gone: dict[Version, None] = dict.fromkeys(self._counts.versions())
        self._gone.pop(NO_VERSION, None)
        # Versions are loaded in threads.
        self._lock = Lock()

    def of_model(self, name: str, version: str) -> "ModelMetrics":
        """The series of one version of a model."""
        with self._lock:
            self._gone.pop((name, version), None)
            model = self._models.get((name, version))
            if model is None:
                model = self._models[name, version] = ModelMetrics(self._counts, name, version)
            return model

    @property
    def is_counting(self) -> bool:
        """Whether there is anything to be told."""
        return True

    @property
    def is_shared(self) -> bool:
        """Whether other workers count too, and make it visible at their own times."""
        return self._counts.is_shared

    def count_request(self, route: str, outcome: str, model: str = "", version: str = "", seconds: float = 0.0) -> None:
        """One more answer, that long after its request. `route` is a path's template, never the path itself; `outcome`
        is "ok", or the word of the problem: each combination is a series that stays as long as its version.
        """
        labels = (model, version, route, outcome)
        count, before = self._requests.get(labels, (0, 0.0))
        self._requests[labels] = (count + 1, before + seconds)

    def queue_length(self, waiting: int) -> None:
        """How many inputs wait in this worker now."""
        self._waiting = waiting

    def count(self) -> None:
        """Make what was noted until now visible to whoever scrapes, whichever worker is asked. On the event loop."""
        self._queue_length[0] = self._waiting
        with self._lock:
            self._count_requests()
            for model in self._models.values():
                model.count()
            self._forget_those_long_gone()
        self._counts.show()

    def _count_requests(self) -> None:
        for labels, (count, seconds) in self._requests.items():
            self._counts.numbers(series.REQUESTS, *labels)[0] += count
            self._counts.numbers(series.REQUEST_SECONDS, *labels)[0] += seconds
            if labels[:2] != NO_VERSION and labels[:2] not in self._models:
                self._gone.setdefault(labels[:2])
        self._requests.clear()

    def _forget_those_long_gone(self) -> None:
        for version, model in self._models.items():
            if model.is_used:
                self._gone.pop(version, None)
            else:
                self._gone.setdefault(version)
        while len(self._gone) > KEPT_GONE:
            oldest = next(iter(self._gone))
            del self._gone[oldest]
            self._models.pop(oldest, None)
            self._counts.forget(oldest)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All series as text, and its content type: OpenMetrics where the Accept header asks for it. Raises
        CountsUnreadable.
        """
        return series.text(self._told(), accept)

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """The same as numbers: name, labels, value of each. Raises CountsUnreadable."""
        return series.samples(self._told())

    def _told(self) -> Counted:
        with self._lock:
            # Of others that a worker does not know, some worker may have forgotten its part.
            told = {NO_VERSION, *self._models, *self._gone} - set(list(self._gone)[:-TOLD_GONE])
        try:
            return self._counts.total(told)
        except OSError as error:
            raise CountsUnreadable(f"what other workers have counted cannot be read: {error.strerror}") from error


class ModelMetrics:
    """The series of one version of a model, bound once."""

    def __init__(self, counts: Counts, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self._counts = counts
        decode, queue, session, encode, batch = (
            Observations(one, counts.numbers(one, name, version))
            for one in (series.DECODE, series.QUEUE, series.SESSION, series.ENCODE, series.BATCH)
        )
        self._entropy: dict[str, Observations] = {}
        self._entropies = Entropies(self.looked)
        self._all = [decode, queue, session, encode, batch]
        self._session, self._batch = session, batch
        self._last_run = counts.numbers(series.LAST_RUN, name, version)
        self._users: WeakSet[object] = WeakSet()
        # Bound once: they are called for every request.
        self.decoded: Callable[[float], None] = decode.observe
        self.queued: Callable[[Iterable[float]], None] = queue.observe_all
        self.encoded: Callable[[float], None] = encode.observe

    def used_by(self, user: object) -> None:
        """As long as somebody holds this user, the version is served, or still answers who came before it retired."""
        self._users.add(user)

    @property
    def is_used(self) -> bool:
        """Whether anything more will be observed."""
        return bool(self._users)

    def ran(self, outputs: Outputs, rows: int, seconds: float) -> None:
        """The graph ran once, with that many rows; attention is looked at where it was fetched."""
        self._batch.observe(rows)
        self._session.observe(seconds)
        self._last_run[0] = time.time()
        self._entropies.note(outputs)

    def looked(self, attention: str, ratios: NDArray[np.float32]) -> None:
        """Entropy ratios of one attention output, one for each row."""
        seen = self._entropy.get(attention)
        if seen is None:
            numbers = self._counts.numbers(series.ENTROPY, self.name, self.version, attention)
            seen = self._entropy[attention] = Observations(series.ENTROPY, numbers)
            self._all.append(seen)
        # Of NaN the sum would be NaN for ever.
        seen.observe_all(ratios[~np.isnan(ratios)].tolist())

    def count(self) -> None:
        """As Metrics.count."""
        self._entropies.count()
        for one in self._all:
            one.count()


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
        return series.nothing(accept)

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """None."""
        return iter(())


class _UnmeteredModel(ModelMetrics):
    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.decoded = self.queued = self.encoded = _ignore

    def used_by(self, user: object) -> None:
        pass

    def ran(self, outputs: Outputs, rows: int, seconds: float) -> None:
        pass

    def looked(self, attention: str, ratios: NDArray[np.float32]) -> None:
        pass


def _ignore(seen: Any) -> None:
    pass
