"""Taking connections in: many in one turn of the event loop, and by each worker its share of them."""

import asyncio
import errno
import math
import re
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable

import structlog

from service.admission import PROBES
from service.shares import Shares

# The event loop's own listener takes in one in a turn (libuv since 1.45, its pull request 3696): where turns are long,
# a new client, and a probe is one, would wait a turn for each that came before it.
MOST_IN_A_TURN = 256
# To begin one costs ten times as much as to take it in: so many begin in a turn, and probes at once.
BEGUN_IN_A_TURN = 32
PROBE = re.compile(rb"(?:GET|HEAD) \S*(?:%b)[ ?]" % "|".join(PROBES).encode())
LONGEST_LINE_OF_A_PROBE = 256
# Who has its share of the connections leaves the next one to the other workers for so long; if they have not stirred by
# then, they are busy, or their turn for a core has not come: one is taken in their stead, and twice as many for each
# time more that they do not stir.
PATIENCE_SECONDS = 0.005
# In Linux's struct tcp_info after eight bytes and four numbers: of a listening socket, how many wait in it.
UNACKED = struct.Struct("=8x16xI")
# Where the process may not open more files: as asyncio's own listener does.
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RETRY_SECONDS = 1.0


class Listener:
    """One listening socket, in one worker of several. Without shares, whichever worker wakes up first takes all the
    connections of a client that opens several: the others idle as long as it keeps them.
    """

    def __init__(
        self,
        listening: socket.socket,
        shares: Shares,
        held: Callable[[], int],
        take_in: Callable[[socket.socket], None],
        patience_seconds: float = PATIENCE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """`held` counts the connections that this worker has begun; `take_in` begins one."""
        self._patience_seconds = patience_seconds
        self._retry_seconds = retry_seconds
        self._socket = listening
        self._shares = shares
        self._held = held
        self._take_in = take_in
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # How often the others were waited for in vain.
        self._in_vain = 0
        # Taken in, and not begun.
        self._arrived: deque[socket.socket] = deque()
        self._is_open = True

    def open(self, backlog: int) -> None:
        """From now on who comes is taken in."""
        self._socket.listen(backlog)
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._look)

    def close(self) -> list[socket.socket]:
        """Take nobody in any more. Those who wait already, whom the system would reset."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        waiting = list(self._arrived)
        self._arrived.clear()
        while connection := self._accepted():
            waiting.append(connection)
        self._socket.close()
        return waiting

    def _look(self) -> None:
        """Somebody waits."""
        held = self._tell()
        others = self._shares.of_others()
        share = math.ceil((held + sum(others) + self._waiting()) / (1 + len(others)))
        if share > held or not others:
            self._in_vain = 0
            self._accept(min(share - held, MOST_IN_A_TURN) if others else MOST_IN_A_TURN)
        else:
            self._pause(self._patience_seconds, others)

    def _waiting(self) -> int:
        """How many connections the system holds for whoever accepts them; at least the one that woke this worker."""
        if sys.platform != "linux":
            return 1
        (waiting,) = UNACKED.unpack(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, UNACKED.size))
        return max(1, int(waiting))

    def _pause(self, seconds: float, others: list[int]) -> None:
        self._loop.remove_reader(self._socket)
        self._timer = self._loop.call_later(seconds, self._look_again, others, self._loop.time())

    def _look_again(self, others: list[int], since: float) -> None:
        self._timer = None
        self._loop.add_reader(self._socket, self._look)
        if others == self._shares.of_others():
            # Where this worker is busy too, its turns are longer than its patience.
            waited = max(1, int((self._loop.time() - since) / self._patience_seconds))
            self._in_vain = min(self._in_vain + waited, MOST_IN_A_TURN.bit_length())
            self._accept(2 ** (self._in_vain - 1))

    def _accept(self, most: int) -> None:
        for _ in range(most):
            connection = self._accepted()
            if connection is None:
                break
            if _asks_for_a_probe(connection):
                self._take_in(connection)
            else:
                self._arrived.append(connection)
                if len(self._arrived) == 1:
                    self._loop.call_soon(self._begin)
        self._tell()

    def _begin(self) -> None:
        try:
            for _ in range(min(BEGUN_IN_A_TURN, len(self._arrived))):
                self._take_in(self._arrived.popleft())
        finally:
            if self._arrived:
                self._loop.call_soon(self._begin)

    def _tell(self) -> int:
        held = self._held() + len(self._arrived)
        self._shares.tell(held)
        return held

    def _accepted(self) -> socket.socket | None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except ConnectionAbortedError:
                continue
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno not in OUT_OF_FILES:
                    raise
                structlog.get_logger("service.listener").error("no more connections", reason=error.strerror)
                if self._is_open:
                    self._pause(self._retry_seconds, [])
                return None
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection


def _asks_for_a_probe(connection: socket.socket) -> bool:
    """Whether the first line says so, where it has come already. It is not taken from the connection."""
    try:
        return PROBE.match(connection.recv(LONGEST_LINE_OF_A_PROBE, socket.MSG_PEEK)) is not None
    except OSError:  # nothing has come, or the client is gone
        return False
