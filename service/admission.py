"""Who is let in to one worker, and when: so many inputs may wait, so many requests begin in one turn of the loop."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from service.deadline import Deadlines, Headers
from service.problems import InvalidInput, Overloaded

# For who needs no other.
HALF_A_MINUTE_MS = 30_000

# Where the lifespan's state holds it, for the connections.
ADMISSION = "heed_admission"
# Asked every second or so, by whoever waits for the service or watches over it: they begin at once.
PROBES = ("/v2/health/live", "/v2/health/ready")
# Each costs about a tenth of a millisecond: a probe that comes now is answered after this many, not after a thousand.
BEGUN_IN_A_TURN = 32
# Who finds no place may ask again after this.
RETRY_SECONDS = 1
# Who was refused and asks again sooner, while still half of the places are taken, is heard so much later, if it has ten
# times as long; not all of them at once, who were refused together.
PAUSE_SECONDS, PAUSE_VARIES = 0.5, 0.2
PAUSE_OF_ITS_TIME = 0.1
# Who would spend more of its time than this in line is refused: it would rather hear no now than too late.
LINE_OF_ITS_TIME = 0.125
# How far the pace of the line follows the last turn.
FOLLOWS = 0.2


class Admission:
    """The one count of what waits in a worker: requests that have not begun, bodies to be read, inputs to be run."""

    def __init__(
        self, capacity: int, observe: Callable[[int], None] = lambda waiting: None, deadlines: Deadlines | None = None
    ) -> None:
        """`observe` is told how many wait, once for each run."""
        self.capacity = capacity
        self.deadlines = deadlines or Deadlines(HALF_A_MINUTE_MS)
        self._observe = observe
        self.waiting = 0
        self.is_draining = False
        # How many requests began together, in the turn before this one: they are being read now.
        self.together = 0
        self._begun = 0
        self._later: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        # Of the loop's time: when the turn before this one began, and what one request of the line took of late.
        self._turned = 0.0
        self._seconds_each = 0.0

    @property
    def is_full(self) -> bool:
        """Whoever comes now is refused."""
        return self.waiting >= self.capacity

    def check(self, was_refused: bool = False) -> None:
        """Raises Overloaded where no place is left, or was when the request came: asked before a body is read."""
        if was_refused or self.is_full:
            raise self.overloaded()

    def has_place(self, seconds: float) -> bool:
        """Whether a request that has so much time may line up now, and would be answered in it."""
        if self.is_full:
            return False
        return not self._later or len(self._later) * self._seconds_each <= LINE_OF_ITS_TIME * seconds

    def pause_seconds(self, seconds: float, since_refusal: float) -> float:
        """How long a request is held back that has so much time, and comes so long after the one before it was refused:
        0 where it has no time for that, came when it was told to, or the crowd is gone.
        """
        if PAUSE_OF_ITS_TIME * seconds < PAUSE_SECONDS or since_refusal >= RETRY_SECONDS:
            return 0.0
        if self.waiting <= self.capacity / 2:
            return 0.0
        return PAUSE_SECONDS * random.uniform(1 - PAUSE_VARIES, 1 + PAUSE_VARIES)

    def seconds(self, headers: Headers) -> float:
        """The time that a request of these headers has, as long as nothing is wrong with them."""
        try:
            return self.deadlines.seconds(headers)
        except InvalidInput:  # told by the request's route
            return self.deadlines.longest_ms / 1000

    def enter(self, inputs: int) -> None:
        """So many inputs begin to wait. Raises Overloaded. Alone, a call may bring more than there are places."""
        if self.waiting and self.waiting + inputs > self.capacity:
            raise self.overloaded()
        self.waiting += inputs

    def leave(self, inputs: int) -> None:
        """So many wait no longer: they run, or nobody waits for them."""
        self.waiting -= inputs
        self._observe(self.waiting)

    def begin(self, start: Callable[..., None], *given: Any) -> None:
        """Start a request: call it with what is given, in this turn of the event loop or in one of the next, in their
        order.
        """
        if not self._begun:
            loop = asyncio.get_running_loop()
            self._turned = loop.time()
            loop.call_soon(self._next_turn)
        if self._begun < BEGUN_IN_A_TURN and not self._later:
            self._begun += 1
            start(*given)
        else:
            self.waiting += 1
            self._later.append((start, given))

    def _next_turn(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._later:
            self._seconds_each += FOLLOWS * ((now - self._turned) / self._begun - self._seconds_each)
        self._turned = now
        self.together, self._begun = self._begun, min(BEGUN_IN_A_TURN, len(self._later))
        if self._begun:
            loop.call_soon(self._next_turn)
        for _ in range(self._begun):
            self.waiting -= 1
            start, given = self._later.popleft()
            start(*given)

    def overloaded(self) -> Overloaded:
        """What is told to who finds no place."""
        detail = f"{self.waiting} inputs wait already, at most {self.capacity} do"
        return Overloaded(detail, {"Retry-After": str(RETRY_SECONDS)})
