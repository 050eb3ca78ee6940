"""An open loop: requests arrive at a constant rate, whether or not the earlier ones were answered. And the same clients
in a closed loop: how much can be answered beside them.

A process of its own, `python -m benchmarks.generator`: reads its task as JSON, writes its result as JSON. A latency
counts from the moment when the request was meant to be sent: a server that holds up its clients is charged for it.
"""

import errno
import gc
import json
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.environments import BASE
from benchmarks.processes import ROOT
from benchmarks.questions import Question

MAX_CONNECTIONS = 8192
# After the last request is sent, so long is waited for answers.
PATIENCE_SECONDS = 10
RECEIVED_BYTES = 65536
# As good clients do, a connection that was not used for so long is closed before the server does that: what is sent at
# the same moment would be lost. Looked at before each step.
IDLE_SECONDS = 45


@dataclass(frozen=True)
class Arrivals:
    """What was measured; latencies are of what was answered with 200."""

    asked_per_second: float
    answered_per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int
    late_p99_ms: float
    cpu_share: float

    @property
    def errors(self) -> int:
        """All that was no 200."""
        return self.refused + self.broken


@dataclass(frozen=True)
class Step:
    """What the clients do for so many seconds, on at most so many connections: ask a question at a rate, or at so many
    times the rate that was answered in the step before. What finds no connection free waits for one, and its latency
    counts while it does. Where no rate is said, each asks as soon as the one before is answered.
    """

    question: Question
    seconds: int
    connections: int = MAX_CONNECTIONS
    per_second: float | None = None
    of_the_last: float | None = None


def in_turn(address: str, steps: Sequence[Step]) -> list[Arrivals]:
    """One step after another, by the same clients: what they have connected stays so."""
    task = {
        "port": int(address.rpartition(":")[2]),
        "steps": [{**vars(step), "question": step.question.raw(address).hex()} for step in steps],
    }
    done = subprocess.run(
        [BASE, "-m", "benchmarks.generator"],
        cwd=ROOT,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=True,
    )
    return [Arrivals(**arrivals) for arrivals in json.loads(done.stdout)]


class _Tally:
    """What came of one step."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.lateness: list[float] = []
        self.refused = self.broken = 0

    def arrivals(self, seconds: float, cpu_share: float) -> Arrivals:
        """Of a step that was to take so long."""
        return Arrivals(
            asked_per_second=(len(self.latencies) + self.refused + self.broken) / seconds,
            answered_per_second=len(self.latencies) / seconds,
            p50_ms=percentile(self.latencies, 50) * 1000,
            p99_ms=percentile(self.latencies, 99) * 1000,
            refused=self.refused,
            broken=self.broken,
            late_p99_ms=percentile(self.lateness, 99) * 1000,
            cpu_share=cpu_share,
        )


class _Generator:
    """One thread and epoll: at thousands of requests a second an event loop would be slower than the server."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._intended: dict[int, float] = {}
        self._received: dict[int, bytes] = {}
        self._connecting: set[int] = set()
        self._idle: list[int] = []
        # When it was asked on each the last time.
        self._used: dict[int, float] = {}
        # Of the step that is done now.
        self._tally = _Tally()
        self._request = b""
        self._connections = 0

    def do(self, step: dict[str, Any], last: Arrivals | None) -> Arrivals:
        """One step, after this one."""
        self._tally = _Tally()
        self._request, self._connections = bytes.fromhex(step["question"]), step["connections"]
        self._close_long_idle()
        started, used = time.perf_counter(), time.process_time()
        rate = step["per_second"]
        if step["of_the_last"] is not None:
            assert last is not None, "the first step has none before it"
            rate = step["of_the_last"] * last.answered_per_second
        if rate is None:
            self._saturate(step["seconds"])
        else:
            self._run(rate, step["seconds"])
        cpu_share = (time.process_time() - used) / (time.perf_counter() - started)
        return self._tally.arrivals(step["seconds"], cpu_share)

    def _run(self, per_second: float, seconds: float) -> None:
        """Send, and wait for what was sent."""
        total, sent, started = int(per_second * seconds), 0, time.perf_counter()
        last = started + seconds + PATIENCE_SECONDS
        waiting: deque[float] = deque()
        while (sent < total or self._intended or waiting) and (now := time.perf_counter()) < last:
            due = min(total, int((now - started) * per_second) + 1)
            for number in range(sent, due):
                waiting.append(started + number / per_second)
            sent = due
            while waiting and self._send(waiting[0], now):
                waiting.popleft()
            until = started + sent / per_second if sent < total else last
            # Half a millisecond at least: fewer turns, each with more to do, leave more of the core to the server.
            self._look(max(0.0005, until - time.perf_counter()) if sent < total else 0.1)
        self._tally.broken += len(waiting)
        self._give_up()

    def _saturate(self, seconds: float) -> None:
        """Keep all connections busy, then wait for the last answers."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            for _ in range(self._connections - len(self._intended)):
                self._send(now, now)
            self._look(end - now)
        while self._intended and time.perf_counter() < end + PATIENCE_SECONDS:
            self._look(0.1)
        self._give_up()

    def _close_long_idle(self) -> None:
        last = time.perf_counter() - IDLE_SECONDS
        for file in [one for one in self._idle if self._used[one] < last]:
            self._idle.remove(file)
            self._close(file)

    def _give_up(self) -> None:
        for file in list(self._intended):
            self._lose(file)

    def _look(self, seconds: float) -> None:
        for file, _ in self._epoll.poll(seconds):
            self._go_on(file)

    def _send(self, intended: float, now: float) -> bool:
        if len(self._intended) >= self._connections:
            return False
        file = self._idle.pop() if self._idle else self._connect()
        if file is None:
            self._tally.broken += 1
            return True
        self._intended[file] = intended
        self._tally.lateness.append(now - intended)
        self._write(file)
        return True

    def _write(self, file: int) -> None:
        try:
            self._sockets[file].send(self._request)
        except BlockingIOError:
            # Not connected yet: where the server's backlog is full that takes seconds, and must not hold up the others.
            self._connecting.add(file)
            self._epoll.modify(file, select.EPOLLOUT)
        except OSError:
            self._lose(file)

    def _connect(self) -> int | None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connection.connect_ex(self._address) not in (0, errno.EINPROGRESS):
            connection.close()
            return None
        file = connection.fileno()
        self._sockets[file] = connection
        self._epoll.register(file, select.EPOLLIN)
        return file

    def _go_on(self, file: int) -> None:
        if file in self._connecting:
            self._connecting.remove(file)
            self._epoll.modify(file, select.EPOLLIN)
            self._write(file)
        else:
            self._receive(file)

    def _receive(self, file: int) -> None:
        try:
            content = self._sockets[file].recv(RECEIVED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self._lose(file)
            return
        if pending := self._received.pop(file, b""):
            content = pending + content
        if not _is_whole(content):
            self._received[file] = content
            return
        self._used[file] = intended = self._intended.pop(file)
        if content[9:12] == b"200":
            self._tally.latencies.append(time.perf_counter() - intended)
        else:
            self._tally.refused += 1
        if b"\r\nconnection: close\r\n" in content[:1024].lower():
            self._close(file)
        else:
            self._idle.append(file)

    def _lose(self, file: int) -> None:
        # An idle connection that the server closed lost no request.
        if self._intended.pop(file, None) is not None:
            self._tally.broken += 1
        elif file in self._idle:
            self._idle.remove(file)
        self._close(file)

    def _close(self, file: int) -> None:
        self._epoll.unregister(file)
        self._received.pop(file, None)
        self._connecting.discard(file)
        self._used.pop(file, None)
        self._sockets.pop(file).close()


def _is_whole(content: bytes) -> bool:
    head, separator, body = content.partition(b"\r\n\r\n")
    if not separator:
        return False
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return bool(found) and len(body) >= int(rest.partition(b"\r\n")[0])


def percentile(values: list[float], percent: float) -> float:
    """The value below which so many per cent of them lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def main() -> None:
    """Read the task, do it, write the result."""
    task = json.load(sys.stdin)
    # A collection of the latencies' list would be a pause of the clients.
    gc.disable()
    generator = _Generator(task["port"])
    done: list[Arrivals] = []
    for step in task["steps"]:
        done.append(generator.do(step, done[-1] if done else None))
    json.dump([asdict(arrivals) for arrivals in done], sys.stdout)


if __name__ == "__main__":
    main()
