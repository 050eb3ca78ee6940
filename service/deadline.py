"""Until when a request must be answered."""

import asyncio
from collections.abc import Awaitable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import TypeVar

from service.problems import DeadlinePassed, InvalidInput

HEADER = b"x-request-timeout-ms"
# A number of more digits is longer than any setting.
MOST_DIGITS = 9
# Deadlines of one tick are told together.
TICKS_PER_SECOND = 128

Headers = Iterable[tuple[bytes, bytes]]
Answer = TypeVar("Answer")


class Deadlines:
    """The setting's time for every request, or less where the request says so."""

    def __init__(self, longest_ms: int) -> None:
        self.longest_ms = longest_ms
        # By tick of the loop's clock: who is ended then.
        self._due: dict[int, set[_Wait]] = {}
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
        task = asyncio.current_task(loop)
        assert task is not None, "a request is answered in a task"
        tick = int(deadline * TICKS_PER_SECOND) + 1
        wait, due = _Wait(task), self._due_at(tick, loop)
        due.add(wait)
        try:
            return await answer
        except asyncio.CancelledError:
            if wait.is_over and task.uncancel() == 0:
                raise DeadlinePassed("the request's time was over before it was answered") from None
            raise
        finally:
            due.discard(wait)
            if not due and self._due.get(tick) is due:
                del self._due[tick]

    def _due_at(self, tick: int, loop: asyncio.AbstractEventLoop) -> "set[_Wait]":
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = set()
            if self._timer is None or tick < self._looks_at:
                self._look_at(tick, loop)
        return due

    def _look_at(self, tick: int, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = tick
        self._timer = loop.call_at(tick / TICKS_PER_SECOND, self._end, loop, context=self._context)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for tick in [tick for tick in self._due if tick <= self._looks_at]:
            for wait in self._due.pop(tick):
                wait.is_over = True
                wait.task.cancel()
        if self._due:
            self._look_at(min(self._due), loop)


@dataclass(eq=False, slots=True)
class _Wait:
    """A task that waits for an answer, and whether its time is over."""

    task: "asyncio.Task[object]"
    is_over: bool = False


def _milliseconds(value: bytes) -> int:
    number = value.strip()
    if not number.isdigit() or not number.lstrip(b"0"):
        shown = value.decode("latin-1")[:40]
        raise InvalidInput(f"X-Request-Timeout-Ms is '{shown}', expected is a whole number of milliseconds, 1 or more")
    return int(number) if len(number) <= MOST_DIGITS else 10**MOST_DIGITS
