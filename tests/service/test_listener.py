"""Connections are taken in by the worker that holds the fewest."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import structlog

from service.listener import BEGUN_IN_A_TURN, MOST_IN_A_TURN, Listener
from service.shares import Shares
from tests.service.patience import PATIENCE_SECONDS


class Neighbours(Shares):
    """The shares of a worker beside others, as the test has them."""

    def __init__(self, *others: int) -> None:
        super().__init__()
        self.others = list(others)

    def of_others(self) -> list[int]:
        """As the test says."""
        return list(self.others)


class Worker:
    """A listener, and what it took in."""

    def __init__(self, shares: Shares, already: int = 0, **seconds: float) -> None:
        self.taken: list[socket.socket] = []
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self.listener = Listener(self._socket, shares, lambda: already + len(self.taken), self.taken.append, **seconds)
        self.listener.open(2048)
        self.clients: list[socket.socket] = []

    def knock(self, count: int) -> None:
        """So many clients connect."""
        self.clients += [socket.create_connection(self.address) for _ in range(count)]

    def close(self) -> list[socket.socket]:
        """Who waited still."""
        left = self.listener.close()
        for one in (*self.taken, *self.clients, *left):
            one.close()
        return left


async def turn() -> None:
    """The loop looks at its sockets once."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_alone_all_are_taken_in_turn_by_turn() -> None:
    """However many come at once: a bounded number begins in each turn, and nobody is left."""

    async def act() -> list[int]:
        worker = Worker(Shares())
        worker.knock(MOST_IN_A_TURN + 20)
        seen = [0]
        while seen[-1] < MOST_IN_A_TURN + 20:
            await asyncio.sleep(0)
            seen.append(len(worker.taken))
        worker.close()
        return seen

    seen = asyncio.run(act())

    assert max(after - before for before, after in pairwise(seen)) == BEGUN_IN_A_TURN


@pytest.mark.parametrize(
    ("line", "is_first"),
    [
        (b"GET /v2/health/live HTTP/1.1\r\n", True),
        (b"HEAD /prefix/v2/health/ready?x HTTP/1.1\r\n", True),
        (b"GET /v2/health/lively HTTP/1.1\r\n", False),
        (b"POST /predict?/v2/health/live HTTP/1.1\r\n", False),
        (b"", False),
    ],
)
def test_probe_is_not_behind_a_crowd(line: bytes, is_first: bool) -> None:
    """It begins before those that came before it; what it sent is there to be read."""

    async def act() -> tuple[int, bytes]:
        worker = Worker(Shares())
        worker.knock(4 * BEGUN_IN_A_TURN)
        probe = socket.create_connection(worker.address)
        worker.clients.append(probe)
        probe.sendall(line + b"more")
        for _ in range(20):
            await turn()
        place = [one.getpeername() for one in worker.taken].index(probe.getsockname())
        read = worker.taken[place].recv(1000)
        worker.close()
        return place, read

    place, read = asyncio.run(act())

    assert (place < 4 * BEGUN_IN_A_TURN) == is_first
    assert read == line + b"more"


def test_who_has_not_begun_is_not_forgotten_at_the_end() -> None:
    """It is given back with those who wait."""

    async def act() -> tuple[int, int]:
        worker = Worker(Shares())
        worker.knock(3 * BEGUN_IN_A_TURN)
        for _ in range(20):
            if not (begun := len(worker.taken)):
                await asyncio.sleep(0)
        left = worker.close()
        await turn()
        return begun, len(left)

    assert asyncio.run(act()) == (BEGUN_IN_A_TURN, 2 * BEGUN_IN_A_TURN)


@pytest.mark.parametrize(
    ("waiting", "already", "others", "taken"),
    [
        (20, 0, (0,), 10),
        (20, 0, (7,), 14),
        (20, 3, (5, 9), 10),
        (20, 5, (3,), 9),
        (2, 5, (3,), 0),
        (1, 0, (0,), 1),
        (1, 4, (4,), 1),
        (3, 5, (9, 2), 2),
        (20, 50, (9, 4), 0),
    ],
)
def test_who_has_its_share_leaves_the_rest_to_others(
    waiting: int, already: int, others: tuple[int, ...], taken: int
) -> None:
    """Of all that are held and wait each worker has as many, and one more where they are not to be divided."""

    async def act() -> int:
        # Whoever waits for a neighbour waits longer than this test.
        worker = Worker(Neighbours(*others), already, patience_seconds=PATIENCE_SECONDS)
        worker.knock(waiting)
        for _ in range(5):
            await turn()
        count = len(worker.taken)
        left = worker.close()
        assert len(left) == waiting - count
        return count

    assert asyncio.run(act()) == taken


@pytest.mark.parametrize(("stirs", "taken"), [(False, [1, 3, 7]), (True, [0, 0, 0])])
def test_neighbour_that_does_not_stir_is_not_waited_for(stirs: bool, taken: list[int]) -> None:
    """It is busy, and clients do not wait for it, ever more of them; where it took some meanwhile, it takes more."""

    async def act() -> list[int]:
        shares, seen = Neighbours(3), []
        worker = Worker(shares, already=50, patience_seconds=0.2)
        worker.knock(20)
        await turn()
        assert worker.taken == []
        await asyncio.sleep(0.1)
        for _ in taken:
            shares.others[0] += stirs
            await asyncio.sleep(0.2)
            seen.append(len(worker.taken))
        worker.close()
        return seen

    assert asyncio.run(act()) == taken


def test_neighbour_that_never_stirs() -> None:
    """However long it is, each time as many are taken as in any other turn."""

    async def act() -> int:
        worker = Worker(Neighbours(0), already=1000, patience_seconds=0.0001)
        worker.knock(1)
        await asyncio.sleep(0.2)
        worker.knock(MOST_IN_A_TURN)
        await asyncio.sleep(0.2)
        count = len(worker.taken)
        worker.close()
        return count

    assert asyncio.run(act()) == 1 + MOST_IN_A_TURN


def test_one_that_cannot_begin_holds_up_nobody() -> None:
    """Those behind it begin in the next turn."""

    async def act() -> int:
        worker = Worker(Shares())
        take_in = worker.listener._take_in

        def fail_once(connection: socket.socket) -> None:
            worker.listener._take_in = take_in
            connection.close()
            raise ValueError("this one cannot begin")

        worker.listener._take_in = fail_once
        worker.knock(5)
        for _ in range(20):
            await turn()
        worker.close()
        return len(worker.taken)

    assert asyncio.run(act()) == 4


def test_no_more_files() -> None:
    """It is told in the log, and tried again later; until then the loop has peace."""

    async def act() -> tuple[int, int]:
        worker = Worker(Shares(), retry_seconds=0.2)
        worker.knock(3)
        with no_more_files():
            for _ in range(20):
                await turn()
        before = len(worker.taken)
        await asyncio.sleep(0.4)
        after = len(worker.taken)
        worker.close()
        return before, after

    with structlog.testing.capture_logs() as lines:
        counts = asyncio.run(act())

    assert counts == (0, 3)
    assert [(line["event"], line["reason"]) for line in lines] == [("no more connections", "Too many open files")]


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process may open none in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as next_one:
        number = next_one.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
