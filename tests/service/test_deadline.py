"""Until when an answer is waited for: many deadlines, few timers."""

import asyncio
import time
import weakref
from contextvars import ContextVar

import pytest

from service.deadline import TICKS_PER_SECOND, Deadlines
from service.problems import DeadlinePassed


async def ask(deadlines: Deadlines, seconds: float, until: float) -> str:
    """An answer that takes so long, waited for until then."""

    async def answer() -> str:
        await asyncio.sleep(seconds)
        return "answer"

    loop = asyncio.get_running_loop()
    return await deadlines.in_time(answer(), loop.time() + until, loop)


def test_each_has_its_own_deadline() -> None:
    """Those whose answer comes before it have it; the others are told, a tick later at most, and nobody else."""
    waits = [(0.0, 0.05), (1.0, 0.05), (0.02, 0.05), (1.0, 0.051), (1.0, 0.1), (0.06, 0.1), (1.0, -1.0)]
    ended: list[float] = []

    async def timed(deadlines: Deadlines, seconds: float, until: float) -> str:
        started = time.monotonic()
        try:
            return await ask(deadlines, seconds, until)
        except DeadlinePassed:
            ended.append(time.monotonic() - started - max(0, until))
            raise

    async def act() -> list[object]:
        deadlines = Deadlines(1000)
        return await asyncio.gather(*(timed(deadlines, *one) for one in waits), return_exceptions=True)

    answers = asyncio.run(act())

    assert [type(one) for one in answers] == [str, DeadlinePassed, str, DeadlinePassed, DeadlinePassed, str,
                                              DeadlinePassed]  # fmt: skip
    assert min(ended) >= 0
    # The machine may be busy; a tick is a hundredth of a second.
    assert sorted(ended)[len(ended) // 2] < 1 / TICKS_PER_SECOND + 0.05


class Known:
    """What is known of a request."""


KNOWN: ContextVar[Known] = ContextVar("known")


def test_what_is_known_of_a_request_is_not_kept_until_its_deadline() -> None:
    """It is answered, and the timer goes on."""

    async def answered(deadlines: Deadlines) -> "weakref.ref[Known]":
        known = Known()
        KNOWN.set(known)
        await ask(deadlines, 0, 1000)
        return weakref.ref(known)

    async def act() -> Known | None:
        deadlines = Deadlines(1_000_000)
        known = await asyncio.create_task(answered(deadlines))
        await asyncio.sleep(0)
        return known()

    assert asyncio.run(act()) is None


def test_whoever_was_answered_leaves_nothing_behind() -> None:
    """Of a hundred answers in as many ticks no deadline is kept, and one timer at most."""

    async def act() -> Deadlines:
        deadlines = Deadlines(1_000_000)
        for second in range(100):
            await ask(deadlines, 0, 1000 + second)
        await ask(deadlines, 0, 500)
        return deadlines

    deadlines = asyncio.run(act())

    assert deadlines._due == {}
    assert deadlines._looks_at / TICKS_PER_SECOND < time.monotonic() + 600


def test_a_later_deadline_is_kept_after_an_earlier_one_was() -> None:
    """The timer goes from one to the next, whichever began first."""

    async def act() -> list[object]:
        deadlines = Deadlines(1000)
        await ask(deadlines, 0, 0.02)
        return await asyncio.gather(*(ask(deadlines, 60, until) for until in (0.1, 0.03, 0.06)), return_exceptions=True)

    assert [type(one) for one in asyncio.run(act())] == [DeadlinePassed] * 3


def test_cancelled_by_somebody_else() -> None:
    """That is no deadline: it goes on as a cancellation."""

    async def act() -> None:
        task = asyncio.create_task(ask(Deadlines(1000), 10, 5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(act())


def test_nothing_is_kept_of_answers_that_came() -> None:
    """Until its time, a tick costs an empty set; then nothing."""

    async def act() -> tuple[list[int], list[int]]:
        deadlines = Deadlines(1000)
        await asyncio.gather(*(ask(deadlines, 0, 0.02) for _ in range(50)))
        before = [len(due) for due in deadlines._due.values()]
        await asyncio.sleep(0.1)
        return before, [len(due) for due in deadlines._due.values()]

    before, after = asyncio.run(act())

    assert sum(before) == 0
    assert len(before) <= 2
    assert after == []
