"""Concurrent requests → one run: who runs with whom, when, and in how large a batch."""

import asyncio

import numpy as np
import pytest

from models.answer import outputs_needed
from service.admission import Admission
from service.batch_queue import Rows
from service.pace import Pace
from service.session import Session
from service.timing import Timing
from tests.service.batching import (
    AN_HOUR_SECONDS,
    IN_THREADS,
    ITSELF,
    MIXED,
    ON_LOOP,
    EchoSession,
    HeldSession,
    LateExecutor,
    batcher_of,
    begin,
    call,
    expected,
    input_of,
    told,
    turns,
)
from tests.service.tiny_models import expected_timeseries, image_model, timeseries_model


def test_what_queued_while_the_session_was_busy_runs_together() -> None:
    """Nobody waits for company; whoever comes during a run is in the next one, with all the others."""
    session = HeldSession(IN_THREADS)

    async def act() -> list[list[Rows]]:
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


@pytest.mark.parametrize(
    ("numbers", "batches"), [((1,), [[], *[[(1,)]] * 4]), ((1, 2), [[], [], [], *[[(1, 2, 3)]] * 2])]
)
def test_only_who_began_with_others_waits_for_more(numbers: tuple[int, ...], batches: list[list[tuple[int]]]) -> None:
    """Alone, it runs in the turn of the loop after its own; with others, a few turns later, with whoever begins
    meanwhile."""
    session, admission = EchoSession(ON_LOOP), Admission(1000)
    seen = []

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, admission=admission)
        for number in numbers:
            begin(admission, batcher, number)
        for turn in range(5):
            await turns(1)
            if turn == 1 and len(numbers) > 1:
                begin(admission, batcher, 3)
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


def test_kinds_that_began_together_run_in_one_turn() -> None:
    """A turn under load is long: with one run in each, whatever comes in several kinds would fall behind."""
    session, admission = EchoSession(ON_LOOP), Admission(1000)
    seen = [0]

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, admission=admission)
        for number in range(12):
            begin(admission, batcher, number, length=1 + number % 3)
        while admission.waiting or not session.runs:
            await turns(1)
            seen.append(len(session.runs))

    asyncio.run(act())

    assert session.batches == [(0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11)]
    assert np.diff(seen).max() == 3


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

    async def act() -> list[list[Rows]]:
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

    async def act() -> list[list[Rows]]:
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
