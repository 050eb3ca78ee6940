"""Who is let in to one worker, and when."""

import asyncio
import time
from collections import Counter
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.admission import BEGUN_IN_A_TURN, Admission
from service.deadline import Deadlines
from service.problems import Overloaded
from tests.service.batching import turns


def test_places_are_taken_and_given_back() -> None:
    """What enters is counted until it leaves, and whoever watches is told what is left."""
    told: list[int] = []
    admission = Admission(10, told.append)

    admission.enter(3)
    admission.enter(4)
    admission.leave(3)
    admission.leave(4)

    assert told == [4, 0]
    assert admission.waiting == 0


@pytest.mark.parametrize(
    ("waiting", "inputs", "is_let_in"), [(0, 4, True), (0, 9, True), (1, 3, True), (1, 4, False), (4, 1, False)]
)
def test_place_for_all_or_none(waiting: int, inputs: int, is_let_in: bool) -> None:
    """A call is let in where all its inputs have places; alone, it may bring more than there are."""
    admission = Admission(4)
    admission.enter(waiting)

    if is_let_in:
        admission.enter(inputs)
    else:
        with pytest.raises(Overloaded, match=f"{waiting} inputs wait already, at most 4 do") as raised:
            admission.enter(inputs)
        assert raised.value.headers == {"Retry-After": "1"}

    assert admission.waiting == waiting + inputs * is_let_in


@pytest.mark.parametrize(("waiting", "is_full"), [(0, False), (3, False), (4, True), (9, True)])
def test_full_worker_refuses_before_a_body_is_read(waiting: int, is_full: bool) -> None:
    """Asking takes no place, and is refused where none is left."""
    admission = Admission(4)
    admission.enter(waiting)

    assert admission.is_full == is_full
    if is_full:
        with pytest.raises(Overloaded, match=f"{waiting} inputs wait already") as raised:
            admission.check()
        assert raised.value.headers == {"Retry-After": "1"}
    else:
        admission.check()
    assert admission.waiting == waiting


class Door:
    """Requests that come to an admission, and in which turn of the loop each began."""

    def __init__(self) -> None:
        self.admission = Admission(1000)
        self.begun: list[tuple[int, int]] = []
        self._come = 0
        self._turn = 0

    def come(self, count: int) -> None:
        """So many more come."""
        for number in range(self._come, self._come + count):
            self.admission.begin(partial(self._begin, number))
        self._come += count

    async def wait(self) -> None:
        """One turn of the loop."""
        self._turn += 1
        await turns(1)

    def _begin(self, number: int) -> None:
        self.begun.append((self._turn, number))

    def most_in_a_turn(self) -> int:
        """How many began in one turn."""
        return max(Counter(turn for turn, _ in self.begun).values(), default=0)


def test_few_requests_begin_at_once() -> None:
    """Those that come together begin some in each turn of the loop, and are counted while they wait."""
    door = Door()
    waiting = []

    async def act() -> None:
        door.come(2 * BEGUN_IN_A_TURN + 5)
        for _ in range(4):
            waiting.append(door.admission.waiting)
            await door.wait()

    asyncio.run(act())

    assert waiting == [BEGUN_IN_A_TURN + 5, 5, 0, 0]
    assert [number for _, number in door.begun] == list(range(2 * BEGUN_IN_A_TURN + 5))


@given(st.lists(st.integers(0, 3 * BEGUN_IN_A_TURN), max_size=6))
@settings(deadline=None)
def test_requests_begin_in_their_order(counts: list[int]) -> None:
    """However many come in each turn: all begin, first come, first begun, at most so many in a turn."""
    door = Door()

    async def act() -> None:
        for count in counts:
            door.come(count)
            await door.wait()
        while door.admission.waiting:
            await door.wait()

    asyncio.run(act())

    assert [number for _, number in door.begun] == list(range(sum(counts)))
    assert door.most_in_a_turn() <= BEGUN_IN_A_TURN


def test_nobody_overtakes_those_who_wait() -> None:
    """Whoever comes in a later turn, where few have begun yet, still comes after them; a quiet door begins at once."""
    door = Door()

    async def act() -> None:
        door.come(BEGUN_IN_A_TURN + 1)
        await door.wait()
        door.come(2)
        for _ in range(3):
            await door.wait()
        door.come(1)

    asyncio.run(act())

    assert [number for _, number in door.begun] == list(range(BEGUN_IN_A_TURN + 4))
    assert door.begun[-1] == (4, BEGUN_IN_A_TURN + 3)


def test_turn_begins_few_from_wherever_they_come() -> None:
    """Some come early in a turn, as the next request of a connection does, and some late: together they are less than
    twice as many as begin between two looks at who waits.
    """
    door = Door()

    async def act() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(door.come, BEGUN_IN_A_TURN - 1)
        door.come(1)
        loop.call_soon(door.come, BEGUN_IN_A_TURN)
        for _ in range(4):
            await door.wait()

    asyncio.run(act())

    assert len(door.begun) == 2 * BEGUN_IN_A_TURN
    assert door.most_in_a_turn() < 2 * BEGUN_IN_A_TURN


@pytest.mark.parametrize(
    ("line", "turn_seconds", "time_ms", "has_place"),
    [
        (0, 0.05, b"100", True),
        (10, 0.05, b"1000", True),
        (200, 0.05, b"100", False),
        (200, 0.05, b"60000", True),
        (200, 0.05, None, True),
        (200, 0.05, b"soon", True),
    ],
)
def test_line_longer_than_an_eighth_of_its_time(
    line: int, turn_seconds: float, time_ms: bytes | None, has_place: bool
) -> None:
    """Whoever would wait so long is refused; a time that cannot be read is told by the route, and counts as none."""
    admission = Admission(1000, deadlines=Deadlines(30_000))
    headers = [] if time_ms is None else [(b"x-request-timeout-ms", time_ms)]

    async def act() -> bool:
        for _ in range(BEGUN_IN_A_TURN * 6):
            admission.begin(lambda: None)
        for _ in range(4):
            time.sleep(turn_seconds)  # noqa: ASYNC251  # the loop is busy: that is what is tested
            await turns(1)
        for _ in range(line - admission.waiting):
            admission.begin(lambda: None)
        while admission.waiting > line:
            await turns(1)
        return admission.has_place(admission.seconds(headers))

    assert asyncio.run(act()) == has_place


@pytest.mark.parametrize(("time_ms", "pauses"), [(b"4999", False), (b"5000", True), (b"60000", True), (b"soon", True)])
def test_pause_only_for_who_has_time(time_ms: bytes, pauses: bool) -> None:
    """A pause takes a tenth of a request's time at most."""
    admission = Admission(1, deadlines=Deadlines(30_000))
    admission.enter(1)

    assert (admission.pause_seconds(admission.seconds([(b"x-request-timeout-ms", time_ms)]), 0.0) > 0) == pauses


def test_requests_that_wait_to_begin_fill_the_worker() -> None:
    """One count for both: where many have not begun, no more inputs are taken in."""
    admission = Admission(2)

    async def act() -> None:
        for _ in range(BEGUN_IN_A_TURN + 2):
            admission.begin(lambda: None)
        assert admission.is_full
        with pytest.raises(Overloaded):
            admission.enter(1)
        await turns(2)

    asyncio.run(act())

    assert not admission.is_full
