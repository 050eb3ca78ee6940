"""Who is let in to one worker, and when: so many inputs may wait, so many requests begin in one turn of the loop."""

import asyncio
from collections import deque
from collections.abc import Callable

from service.problems import Overloaded

# Where the lifespan's state holds it, for the connections.
ADMISSION = "heed_admission"
# Asked every second or so, by whoever waits for the service or watches over it: they begin at once.
PROBES = ("/v2/health/live", "/v2/health/ready")
# Each costs about a tenth of a millisecond: a probe that comes now is answered after this many, not after a thousand.
BEGUN_IN_A_TURN = 32
# Who was refused and asks again at once, though told when to, is heard so much later.
PAUSE_SECONDS = 0.1


class Admission:
    """The one count of what waits in a worker: requests that have not begun, and inputs that wait for a run."""

    def __init__(self, capacity: int, observe: Callable[[int], None] = lambda waiting: None) -> None:
        """`observe` is told how many wait, once for each run."""
        self.capacity = capacity
        self._observe = observe
        self.waiting = 0
        self.is_draining = False
        # How many requests began together, in the turn before this one: they are being read now.
        self.together = 0
        self._begun = 0
        self._refused = 0
        self._later: deque[Callable[[], None]] = deque()
        # With the loop's time until which each is held back.
        self._held_back: deque[tuple[float, Callable[[], None]]] = deque()

    @property
    def is_full(self) -> bool:
        """Whoever comes now is refused."""
        return self.waiting >= self.capacity

    def check(self) -> None:
        """Raises Overloaded where no place is left: asked before a body is read."""
        if self.is_full:
            raise self._overloaded()

    def enter(self, inputs: int) -> None:
        """So many inputs begin to wait. Raises Overloaded. Alone, a call may bring more than there are places."""
        if self.waiting and self.waiting + inputs > self.capacity:
            raise self._overloaded()
        self.waiting += inputs

    def leave(self, inputs: int) -> None:
        """So many wait no longer: they run, or nobody waits for them."""
        self.waiting -= inputs
        self._observe(self.waiting)

    def begin(self, start: Callable[[], None]) -> None:
        """Start a request, in this turn of the event loop or in one of the next, in their order."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)
        if self._begun < BEGUN_IN_A_TURN and not self._later:
            self._begun += 1
            start()
        else:
            self.waiting += 1
            self._later.append(start)

    def hold_back(self, start: Callable[[], None]) -> None:
        """Start a request that comes too soon after a refusal a little later."""
        loop = asyncio.get_running_loop()
        self._held_back.append((loop.time() + PAUSE_SECONDS, start))
        if len(self._held_back) == 1:
            loop.call_later(PAUSE_SECONDS, self._let_go)

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._held_back and self._held_back[0][0] <= now:
            self._held_back.popleft()[1]()
        if self._held_back:
            loop.call_later(max(0.001, self._held_back[0][0] - now), self._let_go)

    def _next_turn(self) -> None:
        # One more for each that was refused: refusals must not crowd out answers.
        most, self._refused = BEGUN_IN_A_TURN + self._refused, 0
        self.together, self._begun = self._begun, min(most, len(self._later))
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)
        for _ in range(self._begun):
            self.waiting -= 1
            self._later.popleft()()

    def _overloaded(self) -> Overloaded:
        self._refused += 1
        return Overloaded(f"{self.waiting} inputs wait already, at most {self.capacity} do", {"Retry-After": "1"})
