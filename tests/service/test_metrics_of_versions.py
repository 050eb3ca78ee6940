"""Series of versions that are served no more: told for a while, then forgotten by all workers together."""

import os
from pathlib import Path

import pytest

from service.counts import FILE
from service.counts_file import CountsFile, read
from service.metrics import KEPT_GONE, TOLD_GONE, Metrics
from service.series import REQUESTS, SESSION, version_of
from tests.service.test_metrics import outputs, samples
from tests.service.test_metrics import read as read_text

ROUTE = "/predict/timeseries"
RUNS = "heed_session_seconds_count{model=timeseries,version=%d}"
REQUEST = "heed_requests_total{model=timeseries,outcome=ok,route=/predict/timeseries,version=%d}"


class User:
    """Who runs a version, as a batcher does."""


def use(metrics: Metrics, version: int, times: int = 1) -> User:
    """A version answers so often; it is served as long as its user is held."""
    user, model = User(), metrics.of_model("timeseries", str(version))
    model.used_by(user)
    for _ in range(times):
        model.ran(outputs(), 1, 0.001)
        metrics.count_request(ROUTE, "ok", "timeseries", str(version))
    return user


def reload(metrics: Metrics, first: int, times: int) -> User:
    """So many versions, each in the place of the one before; the last one is served."""
    for version in range(first, first + times):
        user = use(metrics, version)
        metrics.count()
    return user


def told(metrics: Metrics) -> set[int]:
    """The versions of which something is told."""
    return {int(labels["version"]) for _, labels, _ in metrics.samples() if labels.get("version")}


def test_a_hundred_versions_leave_no_more_than_twenty() -> None:
    """The series that are told and kept are as many, whatever was loaded before."""
    metrics = Metrics()
    user = reload(metrics, 1, 20)
    series_then, kept_then = len(samples(metrics)), len(metrics._counts._counted)

    user = reload(metrics, 21, 100)

    assert (len(samples(metrics)), len(metrics._counts._counted)) == (series_then, kept_then)
    assert len(metrics._models) == KEPT_GONE + 1
    assert user


def test_the_last_ones_are_told_on() -> None:
    """A scrape that comes after a version retired sees its last requests."""
    metrics = Metrics()

    _user = reload(metrics, 1, 100)

    assert told(metrics) == set(range(100 - TOLD_GONE, 101))
    assert samples(metrics)[REQUEST % (100 - TOLD_GONE)] == 1


def test_one_that_is_used_stays_whatever_comes_and_goes() -> None:
    """A pinned version, or one whose request takes long."""
    metrics = Metrics()
    _pinned = use(metrics, 1, times=3)

    _user = reload(metrics, 2, 100)

    assert samples(metrics)[RUNS % 1] == 3


def test_one_that_comes_back_soon_counts_on() -> None:
    """Also one that is not told any more: no counter falls."""
    metrics = Metrics()
    _user = reload(metrics, 1, TOLD_GONE + 3)
    hidden = 1 in told(metrics)

    _again = use(metrics, 1, times=4)

    assert not hidden
    assert samples(metrics)[RUNS % 1] == 5
    assert samples(metrics)[REQUEST % 1] == 5


def test_one_that_comes_back_late_begins_anew() -> None:
    """With all its series, as a counter that was reset."""
    metrics = Metrics()
    _user = reload(metrics, 1, 100)

    _again = use(metrics, 1, times=4)

    assert samples(metrics)[RUNS % 1] == 4
    assert samples(metrics)[REQUEST % 1] == 4


def test_a_load_that_nobody_uses_is_forgotten_too() -> None:
    """Where another worker could not load the same, what was prepared is dropped."""
    metrics = Metrics()

    for version in range(1, 100):
        metrics.of_model("timeseries", str(version))
        metrics.count()

    assert len(metrics._models) == KEPT_GONE


def test_what_others_have_forgotten_in_part_is_not_told(tmp_path: Path) -> None:
    """A sum without one worker's part is a counter that fell: no scrape sees it."""
    metrics = Metrics(tmp_path)
    _user = reload(metrics, 1, 60)
    other = CountsFile(tmp_path / FILE.format(os.getppid()))
    other.write({SESSION.key("timeseries", str(version)): SESSION.zeros() + 1 for version in (1, 60 - TOLD_GONE, 60)})

    text = read_text(metrics.exposition("")[0].decode())

    own = 1
    assert RUNS % 1 not in text
    assert text[RUNS % 60] == text[RUNS % (60 - TOLD_GONE)] == SESSION.size - 1 + own


def test_a_new_worker_tells_what_the_others_tell(tmp_path: Path) -> None:
    """Also of versions that it has never loaded: whichever is asked, the sums are the same."""
    one = {REQUESTS.key("timeseries", str(version), ROUTE, "ok"): REQUESTS.zeros() + version for version in (1, 2)}
    CountsFile(tmp_path / FILE.format(os.getppid())).write(one)

    metrics = Metrics(tmp_path)
    _user = use(metrics, 2)

    assert (samples(metrics)[REQUEST % 1], samples(metrics)[REQUEST % 2]) == (1, 3)


@pytest.mark.parametrize("times", [KEPT_GONE, 100])
def test_the_file_is_as_large_as_what_is_kept(tmp_path: Path, times: int) -> None:
    """Others read it at every scrape."""
    metrics = Metrics(tmp_path)

    _user = reload(metrics, 1, times + 1)

    (file,) = tmp_path.iterdir()
    assert len({version_of(key) for key in read(file)}) == 1 + KEPT_GONE + 1
