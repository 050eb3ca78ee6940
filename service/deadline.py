"""Until when a request must be answered."""

import asyncio
from collections.abc import Awaitable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.exchange import NOW, Running
from service.problems import DeadlinePassed, InvalidInput

HEADER = b"x-request-timeout-ms"
# A number of more digits is longer than any setting.
MOST_DIGITS = 9
# Deadlines of one tick are told together.
TICKS_PER_SECOND = 128

Headers = Iterable[tuple[bytes, bytes]]
Answer = TypeVar("Answer")


class Waiter(Protocol):
    """Who waits for an answer, and whether its time is over."""

    is_over: bool

    def cancel(self) -> bool:
        """It waits no longer."""

    def uncancel(self) -> int:
        """It has heard so; how many others asked it to end."""


class Deadlines:
    """The setting's time for every request, or less where the request says so."""

    def __init__(self, longest_ms: int) -> None:
        self.longest_ms = longest_ms
        # By tick of the loop's clock: who is ended then.
        self._due: dict[int, set[Waiter]] = {}
        # One timer looks at the next tick that somebody waits for: one for each would stay for as long as a request may
        # take, long after it was answered.
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0
        # Empty: else it would keep the context of the request that made it, with all that is known of it.
        self._context = Context()

    def seconds(self, headers: Headers) -> float:
        """The time that a request has. Raises InvalidInput."""
        milliseconds = self.longest_ms
        for name, value in headers:
            if name == HEADER:
                milliseconds = min(milliseconds, _milliseconds(value))
        return milliseconds / 1000

    async def in_time(self, answer: Awaitable[Answer], deadline: float, loop: asyncio.AbstractEventLoop) -> Answer:
        """What is awaited, cancelled at the deadline, which is in the loop's time, or a tick later. Raises
        DeadlinePassed.

        As asyncio.timeout_at, without a timer and several questions to the loop for each: a tenth of a request's time.
        """
        task = NOW.call or asyncio.current_task(loop)
        assert task is not None, "a request is answered by one of them"
        wait = _Wait(task)
        tick = self.begin(wait, deadline, loop)
        try:
            return await answer
        except asyncio.CancelledError:
            if late := passed(wait):
                raise late from None
            raise
        finally:
            self.end(wait, tick)

    def begin(self, waiter: Waiter, deadline: float, loop: asyncio.AbstractEventLoop) -> int:
        """The waiter is cancelled at the deadline, unless it ends before; gives what `end` asks for."""
        tick = tick_of(deadline)
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = set()
            if self._timer is None or tick < self._looks_at:
                self._look_at(tick, loop)
        due.add(waiter)
        return tick

    def end(self, waiter: Waiter, tick: int) -> None:
        """It waits no longer."""
        due = self._due.get(tick)
        if due is not None:
            due.discard(waiter)
            if not due:
                del self._due[tick]

    def _look_at(self, tick: int, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = tick
        self._timer = loop.call_at(tick / TICKS_PER_SECOND, self._end, loop, context=self._context)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for tick in [tick for tick in self._due if tick <= self._looks_at]:
            for waiter in self._due.pop(tick):
                waiter.is_over = True
                waiter.cancel()
        if self._due:
            self._look_at(min(self._due), loop)


def tick_of(deadline: float) -> int:
    """In which whoever waits until then is told."""
    return int(deadline * TICKS_PER_SECOND) + 1


def passed(waiter: Waiter) -> DeadlinePassed | None:
    """What a cancelled waiter is told, where it was cancelled because its time is over, and for nothing else."""
    if waiter.is_over and waiter.uncancel() == 0:
        return DeadlinePassed("the request's time was over before it was answered")
    return None


@dataclass(eq=False, slots=True)
class _Wait:
    """One of the times that a task, or a call, has."""

    task: asyncio.Task[Any] | Running
    is_over: bool = False

    def cancel(self) -> bool:
        return self.task.cancel()

    def uncancel(self) -> int:
        return self.task.uncancel()


def _milliseconds(value: bytes) -> int:
    number = value.strip()
    if not number.isdigit() or not number.lstrip(b"0"):
        shown = value.decode("latin-1")[:40]
        raise InvalidInput(f"X-Request-Timeout-Ms is '{shown}', expected is a whole number of milliseconds, 1 or more")
    return int(number) if len(number) <= MOST_DIGITS else 10**MOST_DIGITS
