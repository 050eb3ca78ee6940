"""Until when a request must be answered."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from service.problems import InvalidInput

HEADER = b"x-request-timeout-ms"
# A number of more digits is longer than any setting.
MOST_DIGITS = 9


@dataclass(frozen=True)
class Deadlines:
    """The setting's time for every request, or less where the request says so."""

    longest_ms: int

    def of(self, headers: Iterable[tuple[bytes, bytes]]) -> float:
        """The deadline of a request that begins now, in the event loop's time. Raises InvalidInput."""
        milliseconds = self.longest_ms
        for name, value in headers:
            if name == HEADER:
                milliseconds = min(milliseconds, _milliseconds(value))
        return asyncio.get_running_loop().time() + milliseconds / 1000


def _milliseconds(value: bytes) -> int:
    number = value.strip()
    if not number.isdigit() or not number.lstrip(b"0"):
        shown = value.decode("latin-1")[:40]
        raise InvalidInput(f"X-Request-Timeout-Ms is '{shown}', expected is a whole number of milliseconds, 1 or more")
    return int(number) if len(number) <= MOST_DIGITS else 10**MOST_DIGITS
