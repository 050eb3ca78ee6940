"""A server's connections, from the moment in which they are taken in; and workers that end."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
import structlog
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.supervisors.multiprocess import SIGNALS

from service.admission import ADMISSION, Admission
from service.readiness import Readiness
from service.server import Server, server_config
from service.workers import Workers
from tests.service.batching import turns
from tests.service.patience import PATIENCE_SECONDS
from tests.service.processes import ROOT

ENDED_BEFORE_IT_LISTENS = """
import asyncio, os, signal
from service.readiness import Readiness
from service.server import server_config
from service.workers import Worker, Workers

async def never(scope, receive, send):
    await asyncio.sleep(3600)

workers = Workers(server_config(never, workers=2), [], Readiness())
worker = Worker(workers.config, [])
worker.start()
os.kill(worker.pid, signal.SIGTERM)
worker.process.join(10)
print(worker.exitcode, len(workers.signal_queue))
worker.process.kill()
"""

TOLD_WHILE_IT_IMPORTS = """
import asyncio, os, signal, sys
import service.workers
from service.readiness import Readiness
from service.server import server_config

async def never(scope, receive, send):
    await asyncio.sleep(3600)

service.workers.IS_FORKED = True
service.workers._import_application = lambda: os.kill(os.getpid(), signal.Signals[sys.argv[1]])
workers = service.workers.Workers(server_config(never, workers=2), [], Readiness())
workers.init_processes()
print(len(workers.processes))
for worker in workers.processes:
    worker.kill()
"""


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing."""


def test_connection_that_is_taken_in_is_open_a_turn_later() -> None:
    """Each turn of a busy event loop is long: a probe on a new connection waits for as few as can be."""

    async def act() -> tuple[int, int]:
        server = _server()
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            server._take_in(ours)
            await turns(1)
            begun = len(server.server_state.connections)
        await turns(20)
        return begun, len(server.server_state.connections)

    assert _run(act()) == (1, 0)


class Imagined:
    """A worker that is silent: it hangs, or is a moment from its end."""

    pid = 7

    def __init__(self, ends: bool) -> None:
        self.process = self
        self.exitcode: int | None = None
        self._ends = ends

    def is_alive(self, timeout: float | None = None) -> bool:
        """To its parent's question there is no answer; the system knows it as long as it has not ended."""
        return timeout is None and self.exitcode is None

    def kill(self) -> None:
        """It ends now."""
        self._ends = True

    def join(self, timeout: float | None = None) -> None:
        """Its end is waited for."""
        if self._ends:
            self.exitcode = -signal.SIGKILL

    def start(self) -> None:
        """As the one that comes in its stead."""


@pytest.fixture
def handlers() -> Iterator[None]:
    """A parent of workers listens to signals; afterwards the tests' own process does again."""
    before = {one: signal.getsignal(one) for one in SIGNALS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize(("told", "started"), [("SIGTERM", "0"), ("SIGINT", "0"), ("SIGHUP", "2"), ("SIGWINCH", "2")])
def test_who_is_told_to_stop_while_it_imports_starts_no_worker(told: str, started: str) -> None:
    """Other signals keep nobody from starting."""
    parent = [sys.executable, "-c", TOLD_WHILE_IT_IMPORTS, told]
    ended = subprocess.run(parent, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)

    assert ended.stdout.split() == [started]


def test_worker_ends_by_a_signal_that_comes_before_it_listens() -> None:
    """Its parent's handlers are not its own: what it is told while it starts must not be lost."""
    parent = [sys.executable, "-c", ENDED_BEFORE_IT_LISTENS]
    ended = subprocess.run(parent, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)

    assert ended.stdout.split() == [str(-signal.SIGTERM), "0"]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("ends", "how"), [(True, "SIGKILL"), (False, "SIGKILL, because it did not answer")])
def test_how_a_silent_worker_ended(monkeypatch: pytest.MonkeyPatch, ends: bool, how: str) -> None:
    """One that was killed closes its pipes before the system says that it has ended: it is not told to have hung."""
    monkeypatch.setattr("service.workers.Worker", lambda config, sockets: Imagined(ends=False))
    workers = Workers(server_config(silent, workers=2), [], Readiness())
    silent_one: Any = Imagined(ends)
    workers.processes = [silent_one]

    with structlog.testing.capture_logs() as lines:
        workers.keep_subprocess_alive()

    assert [line["how"] for line in lines] == [how]
    assert workers.processes != [silent_one]


def _server() -> Server:
    config = server_config(silent)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    server.lifespan.state[ADMISSION] = Admission(1)
    return server


def _run(act: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(act)
