"""Until when a request must be answered."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from service.problems import DeadlinePassed, InvalidInput

HEADER = b"x-request-timeout-ms"
# A number of more digits is longer than any setting.
MOST_DIGITS = 9

Headers = Iterable[tuple[bytes, bytes]]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Deadlines:
    """The setting's time for every request, or less where the request says so."""

    longest_ms: int

    def seconds(self, headers: Headers) -> float:
        """The time that a request has. Raises InvalidInput."""
        milliseconds = self.longest_ms
        for name, value in headers:
            if name == HEADER:
                milliseconds = min(milliseconds, _milliseconds(value))
        return milliseconds / 1000


async def in_time(answer: Awaitable[Answer], deadline: float, loop: asyncio.AbstractEventLoop) -> Answer:
    """What is awaited, cancelled at the deadline, which is in the loop's time. Raises DeadlinePassed.

    As asyncio.timeout_at, which asks for loop and task anew several times: a tenth of a request's time.
    """
    task = asyncio.current_task(loop)
    assert task is not None, "a request is answered in a task"
    is_over = False

    def end() -> None:
        nonlocal is_over
        is_over = True
        task.cancel()

    timer = loop.call_at(deadline, end)
    try:
        return await answer
    except asyncio.CancelledError:
        if is_over and task.uncancel() == 0:
            raise DeadlinePassed("the request's time was over before it was answered") from None
        raise
    finally:
        timer.cancel()


def _milliseconds(value: bytes) -> int:
    number = value.strip()
    if not number.isdigit() or not number.lstrip(b"0"):
        shown = value.decode("latin-1")[:40]
        raise InvalidInput(f"X-Request-Timeout-Ms is '{shown}', expected is a whole number of milliseconds, 1 or more")
    return int(number) if len(number) <= MOST_DIGITS else 10**MOST_DIGITS
