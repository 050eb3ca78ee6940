"""Runs that fail, callers who give up, a full queue, closed threads: nobody else pays, nobody waits for ever."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.admission import Admission
from service.batch_queue import Rows
from service.batcher import BatchSizeError
from service.pace import Pace
from service.problems import Overloaded
from tests.service.batching import (
    IN_THREADS,
    ON_LOOP,
    EchoSession,
    HeldSession,
    LateExecutor,
    batcher_of,
    call,
    expected,
    told,
    turns,
)


@pytest.mark.parametrize("pace", [ON_LOOP, IN_THREADS])
def test_poison_is_told_to_its_own_caller(pace: Pace) -> None:
    """The others of its batch are answered: they run again, each alone."""
    session = EchoSession(pace)

    async def act() -> list[list[Rows] | BaseException]:
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

    async def act() -> list[list[Rows] | BaseException]:
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

    async def act() -> list[list[Rows]]:
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

    async def act() -> list[list[Rows] | BaseException]:
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
