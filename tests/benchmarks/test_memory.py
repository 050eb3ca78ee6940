"""Whether memory grows is told from the samples alone."""

from itertools import pairwise

import pytest

from benchmarks.memory import Sample, growth, thinned


def _samples(*resident: float) -> list[Sample]:
    """One for every 10,000 answers, in two processes."""
    return [Sample(10_000 * place, place, (20.0, it - 20), it) for place, it in enumerate(resident, 1)]


def test_what_fills_up_at_first_is_no_growth() -> None:
    """Caches and pools fill in the first half of the first tenth; that is not lost."""
    found = growth(_samples(50, *[100] * 19))

    assert found is not None
    assert (found.before, found.after, found.slope, found.is_flat) == (100, 100, 0, True)


def test_a_leak_has_its_slope() -> None:
    """A tenth of a MiB for a thousand answers is ten for 100,000."""
    found = growth(_samples(*[100.0 + place for place in range(1, 101)]))

    assert found is not None
    assert found.slope == pytest.approx(10)
    assert found.before == pytest.approx(108)  # of 6 to 10
    assert found.after == pytest.approx(195.5)  # of 91 to 100
    assert not found.is_flat


@pytest.mark.parametrize(("last", "is_flat"), [(104.9, True), (105.1, False), (80, True)])
def test_a_twentieth_is_flat(last: float, is_flat: bool) -> None:
    """The bound is 5 %, and memory that was given back is no growth."""
    found = growth(_samples(*[100] * 18, last, last))

    assert found is not None
    assert found.is_flat == is_flat


def test_few_samples_that_miss_the_first_tenth() -> None:
    """A short run's first sample may come late: it stands for the first tenth."""
    found = growth(_samples(100, 110, 120))

    assert found is not None
    assert (found.before, found.after) == (100, 120)


@pytest.mark.parametrize("resident", [(), (100,)])
def test_too_few_samples_tell_nothing(resident: tuple[float, ...]) -> None:
    """One sample is no growth of nothing: it would pass for flat."""
    assert growth(_samples(*resident)) is None


@pytest.mark.parametrize(("count", "most"), [(5, 30), (30, 30), (31, 30), (400, 30)])
def test_a_thinned_table_keeps_both_ends(count: int, most: int) -> None:
    """At most so many rows, none twice, none much farther from its neighbour than the others."""
    kept = thinned(range(count), most)
    gaps = {after - before for before, after in pairwise(kept)}

    assert len(kept) == min(count, most)
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) >= 1
