"""Concurrent requests → one run: whoever asks gets the own rows or the own error, whatever becomes of the others."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.answer import outputs_needed
from service.admission import Admission
from service.batcher import BatchSizeError, Row
from service.pace import Pace
from service.problems import Overloaded
from service.session import Session
from service.timing import Timing
from tests.service.batching import (
    AN_HOUR_SECONDS,
    IN_THREADS,
    ITSELF,
    MISHAPS,
    MIXED,
    ON_LOOP,
    Call,
    Crowd,
    EchoSession,
    End,
    GiveUp,
    HeldSession,
    LateExecutor,
    Place,
    Step,
    Turns,
    batcher_of,
    begin,
    call,
    expected,
    input_of,
    told,
    turns,
)
from tests.service.tiny_models import expected_timeseries, image_model, timeseries_model

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


def test_what_queued_while_the_session_was_busy_runs_together() -> None:
    """Nobody waits for company; whoever comes during a run is in the next one, with all the others."""
    session = HeldSession(IN_THREADS)

    async def act() -> list[list[Row]]:
        batcher = batcher_of("echo", "1", session)
        first = call(batcher, 1)
        await session.begun()
        others = [call(batcher, number) for number in (2, 3, 4)]
        await turns()
        session.let_go()
        return await asyncio.gather(first, *others)

    answers = asyncio.run(act())

    assert session.batches == [(1,), (2, 3, 4)]
    assert [told(rows) for rows in answers] == [[expected(number)] for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(("numbers", "batches"), [((1,), [[(1,)], [(1,)]]), ((1, 2), [[], [(1, 2)]])])
def test_only_who_began_with_others_waits_for_them(numbers: tuple[int, ...], batches: list[list[tuple[int]]]) -> None:
    """Alone, it runs in the turn of the loop in which it queues; with others, in the next, and together."""
    session, admission = EchoSession(ON_LOOP), Admission(1000)
    seen = []

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, admission=admission)
        for number in numbers:
            begin(admission, batcher, number)
        for _ in range(2):
            await turns(1)
            seen.append(session.batches)

    asyncio.run(act())

    assert seen == batches


def test_runs_of_one_call_leave_turns_to_others() -> None:
    """However many runs its inputs take on the loop, a probe waits for one of them, not for all."""
    session, admission = EchoSession(ON_LOOP), Admission(1000)
    seen = [0]

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, admission=admission, max_batch_size=4)
        begin(admission, batcher, *range(40))
        while admission.waiting or not session.runs:
            await turns(1)
            seen.append(len(session.runs))

    asyncio.run(act())

    assert seen[-1] == 10
    assert np.diff(seen).max() == 1


def test_as_many_runs_at_once_as_there_are_cores() -> None:
    """They share what there is; who comes then waits for one of them to end."""
    session, threads = EchoSession(IN_THREADS), LateExecutor()

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, executor=threads, cores=2)
        waiting = [call(batcher, number) for number in range(6)]
        await turns()
        waiting.append(call(batcher, 6))
        await turns()
        assert session.batches == [(0, 1, 2), (3, 4, 5)]
        while threads.hand_over():
            await turns()
        await asyncio.gather(*waiting)

    asyncio.run(act())

    assert session.batches == [(0, 1, 2), (3, 4, 5), (6,)]


@pytest.mark.parametrize("pace", [ON_LOOP, IN_THREADS])
def test_kinds_take_turns(pace: Pace) -> None:
    """A crowd that asks for one thing keeps nobody waiting who asks for another."""
    session = EchoSession(pace)

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, max_batch_size=2)
        crowd = [call(batcher, number) for number in range(1, 6)]
        others = [call(batcher, 6, length=2), call(batcher, 7, outputs=("doubled",))]
        await asyncio.gather(*crowd, *others)

    asyncio.run(act())

    assert session.batches == [(1, 2), (6,), (7,), (3, 4), (5,)]


def test_long_run_holds_up_no_short_one() -> None:
    """Short inputs of the same model are answered meanwhile, those too that queued after more long ones."""
    session = HeldSession(MIXED)

    async def act() -> list[list[Row]]:
        batcher = batcher_of("echo", "1", session)
        long = [call(batcher, 1, length=7)]
        await session.begun()
        long.append(call(batcher, 2, length=7))
        short = await call(batcher, 3)
        assert not any(one.done() for one in long)
        session.let_go()
        return [short, *await asyncio.gather(*long)]

    answers = asyncio.run(act())

    assert session.batches == [(1,), (3,), (2,)]
    assert [told(rows) for rows in answers] == [[expected(3)], [expected(1, 7)], [expected(2, 7)]]


@pytest.mark.parametrize("pace", [ON_LOOP, IN_THREADS])
def test_full_batch_does_not_wait(pace: Pace) -> None:
    """With a delay, fewer wait for company; with the one who makes the batch full, they run."""
    session = EchoSession(pace)

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, max_batch_size=3, max_queue_delay_seconds=AN_HOUR_SECONDS)
        waiting = [call(batcher, 1), call(batcher, 2)]
        await turns(100)
        assert session.runs == []
        await asyncio.gather(*waiting, call(batcher, 3))

    asyncio.run(act())

    assert session.batches == [(1, 2, 3)]


def test_delay_counts_from_the_first() -> None:
    """However many come after, the first one's wait ends, and all who came by then are in its run."""
    session = EchoSession(ON_LOOP)

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, max_batch_size=1_000_000, max_queue_delay_seconds=0.01)
        waiting = [call(batcher, 0)]
        while not waiting[0].done() and len(waiting) < 10_000:
            waiting.append(call(batcher, len(waiting)))
            await asyncio.sleep(0.001)
        assert waiting[0].done()
        await asyncio.gather(*waiting)

    asyncio.run(act())

    numbers = [number for batch in session.batches for number in batch]
    assert session.batches[0] == tuple(range(len(session.batches[0])))
    assert numbers == list(range(len(numbers)))


def test_full_batch_of_long_inputs_does_not_wait_for_short_company() -> None:
    """Its thread is free again: what others still wait for is no reason to wait."""
    session, threads = EchoSession(MIXED), LateExecutor()

    async def act() -> None:
        batcher = batcher_of(
            "echo", "1", session, executor=threads, max_batch_size=2, max_queue_delay_seconds=AN_HOUR_SECONDS
        )
        waiting = [call(batcher, number, length=7) for number in (1, 2, 3, 4)]
        await turns()
        waiting.append(call(batcher, 5))
        await turns()
        threads.hand_over()
        await turns()
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)

    asyncio.run(act())

    assert session.batches == [(1, 2), (3, 4)]


@pytest.mark.parametrize("pace", [ON_LOOP, IN_THREADS])
def test_poison_is_told_to_its_own_caller(pace: Pace) -> None:
    """The others of its batch are answered: they run again, each alone."""
    session = EchoSession(pace)

    async def act() -> list[list[Row] | BaseException]:
        batcher = batcher_of("echo", "1", session)
        return await asyncio.gather(*[call(batcher, number) for number in (1, -2, 3)], return_exceptions=True)

    first, poisoned, last = asyncio.run(act())

    assert session.batches == [(1, -2, 3), (1,), (-2,), (3,)]
    assert isinstance(poisoned, ArithmeticError)
    assert isinstance(first, list)
    assert isinstance(last, list)
    assert told([*first, *last]) == [expected(1), expected(3)]


@pytest.mark.parametrize("mishap", ["lacks a row", "has a row too many", "has no rows"])
def test_run_without_one_row_for_each_is_no_answer(mishap: str) -> None:
    """Nobody gets the row of another: such a run is repeated, and at last refused."""
    session = EchoSession(ON_LOOP, {0: mishap, 2: mishap})

    async def act() -> list[list[Row] | BaseException]:
        batcher = batcher_of("echo", "1", session)
        return await asyncio.gather(*[call(batcher, number) for number in (1, 2)], return_exceptions=True)

    first, second = asyncio.run(act())

    assert session.batches == [(1, 2), (1,), (2,)]
    assert isinstance(first, list)
    assert told(first) == [expected(1)]
    assert isinstance(second, BatchSizeError)


def test_whoever_gave_up_is_not_run() -> None:
    """Neither who left while the session was busy, nor who left during the run that failed."""
    session, threads = EchoSession(IN_THREADS), LateExecutor()

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, executor=threads)
        waiting = [call(batcher, number) for number in (1, -2, 3)]
        await turns()
        waiting += [call(batcher, number) for number in (4, 5)]
        await turns()
        waiting[2].cancel()
        waiting[3].cancel()
        while threads.hand_over():
            await turns()
        await asyncio.wait(waiting)

    asyncio.run(act())

    assert session.batches == [(1, -2, 3), (1,), (-2,), (5,)]


def test_call_that_failed_leaves_no_rows_behind() -> None:
    """Its caller is told the error: nobody waits for what of it has not run."""
    session, threads = EchoSession(IN_THREADS), LateExecutor()

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, executor=threads, max_batch_size=2)
        asked = call(batcher, -1, 2, 3, 4, 5, 6)
        await turns()
        threads.hand_over()
        with pytest.raises(ArithmeticError, match="poison -1"):
            await asked
        while threads.hand_over():
            await turns()

    asyncio.run(act())

    assert (5, 6) not in session.batches


def test_full_queue_refuses() -> None:
    """As many wait as may; the next is told to come later, at no cost to them. Alone, more may come at once."""
    session, threads = EchoSession(IN_THREADS), LateExecutor()
    admission = Admission(3)

    async def act() -> list[list[Row]]:
        batcher = batcher_of("echo", "1", session, executor=threads, admission=admission)
        waiting = [call(batcher, 1, 2, 3, 4, 5)]
        await turns()
        waiting += [call(batcher, 6), call(batcher, 7, 8)]
        with pytest.raises(Overloaded, match="3 inputs wait already, at most 3 do"):
            await call(batcher, 9)
        while threads.hand_over():
            await turns()
        return await asyncio.gather(*waiting)

    answers = asyncio.run(act())

    assert [told(rows) for rows in answers] == [
        [expected(number) for number in numbers] for numbers in ((1, 2, 3, 4, 5), (6,), (7, 8))
    ]
    assert admission.waiting == 0


def test_whoever_gave_up_leaves_the_place_at_once() -> None:
    """It is free for the next one, though the run that they waited behind still goes on."""
    session, threads = EchoSession(IN_THREADS), LateExecutor()
    admission = Admission(2)

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, executor=threads, admission=admission)
        waiting = [call(batcher, 1)]
        await turns()
        waiting += [call(batcher, 2, 3)]
        await turns()
        assert admission.is_full
        waiting[1].cancel()
        await turns()
        waiting += [call(batcher, 4, 5)]
        await turns()
        while threads.hand_over():
            await turns()
        await asyncio.wait(waiting)

    asyncio.run(act())

    assert session.batches == [(1,), (4, 5)]
    assert admission.waiting == 0


def test_closed_threads_leave_nobody_waiting() -> None:
    """What runs is answered; what waits, for a thread or for its batch, ends with an error."""
    session, threads = HeldSession(IN_THREADS), ThreadPoolExecutor(1)

    async def act() -> list[list[Row] | BaseException]:
        batcher = batcher_of("echo", "1", session, executor=threads, cores=2)
        runs = call(batcher, 1)
        await session.begun()
        waits = call(batcher, 2)
        await turns()
        queued = call(batcher, 3, 4)
        await turns()
        threads.shutdown(wait=False, cancel_futures=True)
        session.let_go()
        return [*await asyncio.gather(runs, waits, queued, return_exceptions=True)]

    answered, *others = asyncio.run(act())

    assert isinstance(answered, list)
    assert told(answered) == [expected(1)]
    assert [type(error) for error in others] == [asyncio.CancelledError, RuntimeError]
    assert session.batches == [(1,)]


@pytest.mark.parametrize("count", [1, 31, 32, 33, 65])
def test_slices_keep_the_rows_in_order(count: int) -> None:
    """Whatever the number of rows, each comes back once and in its place."""
    images = np.arange(count * 64, dtype=np.uint8).reshape(count, 8, 8, 1)
    batcher = batcher_of("image", "1", Session(image_model()))

    rows = asyncio.run(batcher.run(list(images), ("attention",), Timing()))

    np.testing.assert_array_equal([row.outputs.tensors["attention"][row.place] for row in rows], images)


def test_slices_are_as_large_as_a_run_may_be() -> None:
    """Inputs of one call that have one shape run together, the rest of them in a smaller run."""
    session = EchoSession(ON_LOOP)

    rows = asyncio.run(batcher_of("echo", "1", session, max_batch_size=4).run(
        [input_of(number) for number in range(9)], ITSELF, Timing()
    ))  # fmt: skip

    assert session.batches == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]
    assert told(rows) == [expected(number) for number in range(9)]


def test_real_models_answer_a_crowd_as_if_each_were_alone() -> None:
    """Many lengths, numbers of inputs and details at once: every answer is NumPy's account of its own input."""
    session = Session(timeseries_model("time"))
    chance = np.random.default_rng(5)
    calls = [
        [chance.normal(size=(1 + (index + other) % 4, 2)).astype(np.float32) for other in range(1 + index % 3)]
        for index in range(60)
    ]
    details = [outputs_needed(session.contract, "none" if index % 2 else "full") for index in range(60)]

    async def act() -> list[list[Row]]:
        batcher = batcher_of("timeseries", "1", session)
        asked = [batcher.run(*of_one, Timing()) for of_one in zip(calls, details, strict=True)]
        return await asyncio.gather(*asked)

    answers = asyncio.run(act())

    for inputs, names, rows in zip(calls, details, answers, strict=True):
        for series, row in zip(inputs, rows, strict=True):
            account = expected_timeseries(series)
            told_of_it = {name: values[row.place] for name, values in row.outputs.tensors.items()}
            assert tuple(told_of_it) == names
            np.testing.assert_allclose(told_of_it["probabilities"], account["probabilities"], rtol=1e-5)
            if "attention" in names:
                np.testing.assert_allclose(told_of_it["attention"], account["attention"], rtol=1e-5)
                np.testing.assert_allclose(told_of_it["contributions"][1], account["contributions"], atol=1e-6)
