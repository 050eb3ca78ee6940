"""What follows from the time that runs take: where they run, how many rows at once. And how that time is taken."""

import time
from collections import Counter
from itertools import groupby

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.pace import HOP_SECONDS, LONGEST_ON_LOOP_SECONDS, Pace, measured
from tests.service.batching import IN_THREADS, MIXED, ON_LOOP

SECONDS = st.floats(1e-6, 1e-1)


def pace_of(one: float, eight: float, many: float) -> Pace:
    """The pace of a model whose rows all have one size, by the seconds of 1, 8 and 32 of them."""
    return Pace({1: one, 8: eight, 32: many}, row_values=1, long_values=1, long_seconds=one)


@pytest.mark.parametrize(
    ("pace", "most", "rows"),
    [
        (pace_of(1e-4, 1e-4, 1e-4), 32, 32),  # company costs nothing
        (pace_of(1e-4, 1e-4, 1e-4), 64, 64),  # the largest measured is the best, a larger one may be better
        (pace_of(1e-4, 1e-4, 1e-4), 4, 4),
        (pace_of(1e-4, 2e-4, 8e-4), 32, 8),  # beyond eight a row gets no cheaper
        (pace_of(1e-4, 2e-4, 7e-4), 64, 8),  # somewhat cheaper, which is not worth it
        (pace_of(1e-4, 2e-4, 6e-4), 64, 64),
        (pace_of(1e-4, 2e-4, 8e-4), 5, 5),
        (pace_of(1e-4, 8e-4, 32e-4), 32, 1),  # no row gets cheaper by company
        (pace_of(1e-4, 16e-4, 64e-4), 32, 1),
        (pace_of(1e-3, 8e-3, 32e-3), 32, 1),
        (pace_of(3e-4, 24e-4, 96e-4), 32, 8),  # in company the way to the thread is shared
        (pace_of(1e-3, 4e-3, 16e-3), 32, 8),
    ],
)
def test_batch_is_as_large_as_it_pays(pace: Pace, most: int, rows: int) -> None:
    """No larger batch than makes rows much cheaper: whoever waits for one waits for something."""
    assert pace.batch_rows(most) == rows


@given(SECONDS, SECONDS, SECONDS, st.integers(1, 256))
def test_batch_keeps_to_its_bound(one: float, eight: float, many: float, most: int) -> None:
    """Whatever was measured: at least one row, at most what the settings say."""
    assert 1 <= pace_of(one, eight, many).batch_rows(most) <= most


@pytest.mark.parametrize(
    ("pace", "gain"),
    [
        (pace_of(1e-3, 8e-3, 32e-3), 1),
        (pace_of(1e-3, 4e-3, 32e-3), 2),
        (pace_of(1e-3, 4e-3, 8e-3), 4),
        (pace_of(1e-3, 16e-3, 64e-3), 1),
        (Pace({1: 1.0}, row_values=1, long_values=1, long_seconds=1.0), 1),
    ],
)
def test_gain_is_that_of_the_best_batch(pace: Pace, gain: float) -> None:
    """How many times cheaper a row gets; alone, where no company makes it cheaper."""
    assert pace.gain == pytest.approx(gain)


@pytest.mark.parametrize(
    ("seconds", "is_short"), [(HOP_SECONDS / 2, True), (HOP_SECONDS, False), (HOP_SECONDS * 2, False)]
)
def test_run_is_short_where_the_way_to_a_thread_is_longer(seconds: float, is_short: bool) -> None:
    """Only such a run is on the event loop; of no other input is any."""
    pace = pace_of(seconds, seconds, seconds)

    assert pace.is_short == is_short
    assert (pace.values_on_loop > 0) == is_short


@pytest.mark.parametrize(
    ("pace", "values"),
    [
        (IN_THREADS, 0),
        # 0.1 ms and 90 µs for each number more: 4 more in 0.5 ms.
        (MIXED, 5),
        # 20 numbers in 0.1 ms and 30 µs for each row of as many: 13 rows more in 0.5 ms, and a third of one.
        (Pace({1: 1e-4, 8: 3.1e-4, 32: 1.03e-3}, 20, 20, 1e-4), 286),
        # The same by its longer rows, which cost more than company does.
        (Pace({1: 1e-4, 8: 1e-4, 32: 1e-4}, 20, 200, 3.7e-4), 286),
        (Pace({1: 1e-4, 8: 3.1e-4, 32: 1.03e-3}, 20, 200, 1e-4), 286),
    ],
)
def test_longest_input_on_the_loop(pace: Pace, values: int) -> None:
    """As many numbers as run within the time that the loop may be held up."""
    assert pace.values_on_loop == values


@given(
    st.floats(1e-6, HOP_SECONDS * 0.99), st.floats(0, 1e-2), st.floats(0, 1e-2), st.integers(1, 10_000), st.booleans()
)
def test_loop_is_held_up_no_longer_than_it_may(
    one: float, company: float, length: float, row_values: int, is_varying: bool
) -> None:
    """Neither by many rows nor by a long one, as far as what was measured tells; and by one number more it would be."""
    long_values = row_values * (10 if is_varying else 1)
    long_seconds = one + length if is_varying else one
    pace = Pace({1: one, 8: one + company / 4, 32: one + company}, row_values, long_values, long_seconds)
    per_value = max(company / (31 * row_values), length / (9 * row_values) if is_varying else 0)
    assume(per_value > 1e-11)

    values = pace.values_on_loop

    assert values >= row_values
    assert one + (values - row_values) * per_value <= LONGEST_ON_LOOP_SECONDS * 1.001
    assert one + (values + 1 - row_values) * per_value >= LONGEST_ON_LOOP_SECONDS * 0.999


def test_size_that_costs_nothing_stays_on_the_loop() -> None:
    """A run that was measured no longer, or shorter, for more rows has no longest input."""
    assert ON_LOOP.values_on_loop > 1_000_000
    assert pace_of(1e-4, 1e-4, 5e-5).values_on_loop > 1_000_000


def test_runs_are_measured_alone_in_company_and_long() -> None:
    """Each several times; the sizes are told beside the seconds."""
    runs: list[tuple[int, int]] = []

    pace = measured(lambda rows, times: runs.append((rows, times)), 20, 10)

    assert [size for size, _ in groupby(runs)] == [(1, 1), (8, 1), (32, 1), (1, 10)]
    assert all(3 <= times <= 20 for times in Counter(runs).values())
    assert list(pace.seconds) == [1, 8, 32]
    assert (pace.row_values, pace.long_values) == (20, 200)


def test_rows_of_one_size_are_not_measured_long() -> None:
    """Their long row is the row itself."""
    runs: list[tuple[int, int]] = []

    pace = measured(lambda rows, times: runs.append((rows, times)), 64, 1)

    assert (1, 1) in runs
    assert {times for _, times in runs} == {1}
    assert (pace.long_values, pace.long_seconds) == (64, pace.seconds[1])


def test_slow_model_does_not_hold_up_the_start() -> None:
    """Batches that would take longer than the warm-up may are not tried."""
    runs: list[tuple[int, int]] = []

    def run(rows: int, times: int) -> None:
        runs.append((rows, times))
        time.sleep(0.0126)  # eight of them are more than a tenth of a second

    pace = measured(run, 64, 1)

    assert runs == [(1, 1)] * 3
    assert list(pace.seconds) == [1]
    assert pace.seconds[1] >= 0.0126


class Clock:
    """Time that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        """As the module's."""
        return self.now


@pytest.mark.parametrize(("busy_runs", "is_short"), [(0, True), (3, True), (5, True), (40, False)])
def test_short_run_is_repeated_until_seen(monkeypatch: pytest.MonkeyPatch, busy_runs: int, is_short: bool) -> None:
    """A moment in which the machine was busy must not send its runs to a thread for good."""
    clock, seconds = Clock(), iter([2 * HOP_SECONDS] * busy_runs)
    monkeypatch.setattr("service.pace.time", clock)

    def run(rows: int, times: int) -> None:
        clock.now += next(seconds, HOP_SECONDS / 2)

    assert measured(run, 64, 1).is_short == is_short


def test_least_of_some_runs_counts() -> None:
    """What else the machine did during one of them says nothing of the model."""
    pauses = iter([0.02, 0.0, 0.02])

    pace = measured(lambda rows, times: time.sleep(next(pauses, 0.02)), 64, 1)

    assert pace.seconds[1] < 0.02 <= pace.seconds[8]
