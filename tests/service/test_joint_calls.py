"""Calls for the same that wait together are one; who comes later is not answered by what began before."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from service.joint_calls import Begin, JointCalls


class Work:
    """Waits for its turn, begins, ends when it is told to; counts how often."""

    def __init__(self) -> None:
        self.calls = JointCalls()
        self.turn, self.end = asyncio.Event(), asyncio.Event()
        self.begun = self.ended = self.cancelled = 0

    def ask(self, name: str = "a model") -> "asyncio.Task[None]":
        """One more caller."""
        return asyncio.create_task(self.calls.call(name, self._act))

    async def _act(self, begin: Begin) -> None:
        try:
            await self.turn.wait()
            begin()
            self.begun += 1
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        raise ArithmeticError("what it says")


def worked(act: Callable[[Work], Awaitable[None]]) -> Work:
    """The work, once that was done with it."""

    async def run() -> Work:
        work = Work()
        await act(work)
        return work

    return asyncio.run(run())


async def settled() -> None:
    """Whatever can happen now has happened."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_callers_that_wait_share_one_call() -> None:
    """Its failure too; of another name there is another one."""
    told: list[object] = []

    async def act(work: Work) -> None:
        asked = [*(work.ask() for _ in range(5)), work.ask("another")]
        await settled()
        work.turn.set()
        work.end.set()
        told.extend(await asyncio.gather(*asked, return_exceptions=True))

    work = worked(act)

    assert work.begun == 2
    assert [str(one) for one in told] == ["what it says"] * 6


def test_caller_that_comes_after_the_beginning_is_answered_by_another() -> None:
    """What it asks about may be new since then."""

    async def act(work: Work) -> None:
        work.turn.set()
        early = work.ask()
        await settled()
        late = [work.ask(), work.ask()]
        work.end.set()
        await asyncio.gather(early, *late, return_exceptions=True)

    assert worked(act).begun == 2


@pytest.mark.parametrize("has_begun", [False, True])
def test_caller_that_gives_up_takes_the_call_from_nobody(has_begun: bool) -> None:
    """Others are answered by it."""

    async def act(work: Work) -> None:
        gone, other = work.ask(), work.ask()
        if has_begun:
            work.turn.set()
        await settled()
        gone.cancel()
        await settled()
        work.turn.set()
        work.end.set()
        with suppress(ArithmeticError):
            await other

    work = worked(act)

    assert (work.begun, work.ended, work.cancelled) == (1, 1, 0)


@pytest.mark.parametrize("has_begun", [False, True])
def test_call_that_all_gave_up_is_not_made(has_begun: bool) -> None:
    """Nor joined by whoever comes then."""

    async def act(work: Work) -> None:
        if has_begun:
            work.turn.set()
        gone = [work.ask(), work.ask()]
        await settled()
        for one in gone:
            one.cancel()
        await settled()
        late = work.ask()
        work.turn.set()
        work.end.set()
        with suppress(ArithmeticError):
            await late

    work = worked(act)

    assert (work.cancelled, work.ended) == (1, 1)
