"""Crowds of callers: whoever asks gets the own rows or the own error, whatever becomes of the others."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.batching import IN_THREADS, ITSELF, MISHAPS, MIXED, ON_LOOP, LateExecutor, told
from tests.service.crowd import Call, Crowd, End, GiveUp, Place, Step, Turns

OUTPUTS = (ITSELF, ("doubled",), ("itself", "doubled"))
SMALL = st.integers(0, 5)
LENGTHS = st.lists(st.sampled_from([1, 1, 2, 3, 7]), min_size=1, max_size=6).map(tuple)
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.builds(Call, LENGTHS, st.none() | SMALL, st.sampled_from(OUTPUTS))
    | st.builds(Call, st.just((1,)), st.none(), st.just(ITSELF))
    | st.builds(GiveUp, SMALL)
    | st.builds(End, SMALL)
    | st.builds(Turns, st.integers(1, 3)),
    max_size=25,
)
MISHAPS_BY_RUN = st.dictionaries(st.integers(0, 12), st.sampled_from(MISHAPS), max_size=4)
DELAYS_SECONDS = st.sampled_from([0.0, 0.0, 0.001])
PLACES = {
    "on the loop": Place(ON_LOOP, 2, {1: 4, 2: 4, 3: 4, 7: 4}),
    "on the loop and in one thread": Place(MIXED, 2, {1: 4, 2: 2, 3: 1, 7: 4}),
    "in one thread": Place(IN_THREADS, 1, {1: 4, 2: 4, 3: 4, 7: 4}),
    "in two threads": Place(IN_THREADS, 2, {1: 4, 2: 4, 3: 4, 7: 4}),
}
EVERYWHERE = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


def check_answers(crowd: Crowd) -> None:
    """Each caller is told the own rows, or what was wrong with a run that held nothing else, or has given up."""
    assert crowd.complaints == []
    assert min(crowd.waiting) == crowd.waiting[-1] == 0
    for caller in crowd.callers:
        errors = {run.error for run in crowd.session.runs if run.error and set(run.numbers) <= set(caller.numbers)}
        if caller.task.cancelled():
            assert caller.given_up_after is not None
        elif errors:
            assert str(caller.task.exception()) in errors
        else:
            assert caller.given_up_after is None
            assert min(caller.numbers) > 0
            assert told(caller.task.result()) == caller.answer()


def check_runs(crowd: Crowd, place: Place) -> None:
    """One kind and no more rows than allowed in each run; whoever was answered had each row run well, once."""
    callers = {number: caller for caller in crowd.callers for number in caller.numbers}
    for run in crowd.session.runs:
        assert len(run.numbers) <= place.most_rows[run.length]
        assert {callers[number].call.outputs for number in run.numbers} == {run.outputs}
    ran = Counter(number for run in crowd.session.runs if not run.error for number in run.numbers)
    assert set(ran.values()) == {1}
    answered = [one for one in crowd.callers if not one.task.cancelled() and not one.task.exception()]
    assert {number for one in answered for number in one.numbers} <= set(ran)


@EVERYWHERE
@given(steps=STEPS, mishaps=MISHAPS_BY_RUN, delay_seconds=DELAYS_SECONDS)
@settings(deadline=None)
def test_each_caller_gets_the_own_rows_or_the_own_error(
    place: Place, steps: list[Step], mishaps: dict[int, str], delay_seconds: float
) -> None:
    """Whoever else asks, gives up, sends poison or meets a failing run: nobody hangs, nobody stays counted."""
    crowd = Crowd(place, LateExecutor(), mishaps, delay_seconds).act(steps)

    check_answers(crowd)


@EVERYWHERE
@given(steps=STEPS, mishaps=MISHAPS_BY_RUN, delay_seconds=DELAYS_SECONDS)
@settings(deadline=None)
def test_runs_hold_one_kind_and_nobody_who_gave_up(
    place: Place, steps: list[Step], mishaps: dict[int, str], delay_seconds: float
) -> None:
    """No run mixes kinds or is too large, no row is run twice for one answer, nor after its caller has left."""
    crowd = Crowd(place, LateExecutor(), mishaps, delay_seconds).act(steps)

    check_runs(crowd, place)
    for caller in crowd.callers:
        is_failed = any(run.error and set(run.numbers) <= set(caller.numbers) for run in crowd.session.runs)
        if caller.given_up_after is not None and not is_failed:
            later = crowd.session.batches[caller.given_up_after :]
            assert not {number for batch in later for number in batch} & set(caller.numbers)


@EVERYWHERE
@given(steps=STEPS, mishaps=MISHAPS_BY_RUN, delay_seconds=DELAYS_SECONDS)
@settings(deadline=None, max_examples=50)
def test_real_threads_change_nothing(
    place: Place, steps: list[Step], mishaps: dict[int, str], delay_seconds: float
) -> None:
    """Whenever runs end and in whichever order: answers, runs and counts are as ever."""
    with ThreadPoolExecutor(2) as executor:
        crowd = Crowd(place, executor, mishaps, delay_seconds).act(steps)

    check_answers(crowd)
    check_runs(crowd, place)
