"""The processes that answer, and how they stop: the listener closes first, and who came before is answered."""

import asyncio
import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess, multiprocess

from service.admission import ADMISSION
from service.call import rest_of
from service.http_protocol import HttpProtocol
from service.listener import Listener
from service.processes import named
from service.readiness import Readiness
from service.runtime_directory import hold
from service.shares import Shares

# From Linux's socket.h and filter.h: a packet filter of one instruction, "return 0", takes no packet.
SO_ATTACH_FILTER = 26
# Whoever was taken in and has not said its first word by then, with TLS, is not waited for when the server stops.
BEGINNING_SECONDS = 0.5
# A process that ended has closed its pipes before it can be seen that it has.
ENDING_SECONDS = 0.5
# Where the lifespan's state holds what reads the repository anew.
CONTROL = "heed_control"
TAKE_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


class Config(uvicorn.Config):
    """uvicorn's, and what its workers share."""

    shares: Shares


def server_config(app: ASGIApp | Callable[[], ASGIApp], runtime: Path | None = None, /, **settings: Any) -> Config:
    """uvicorn's configuration as Heed needs it: its own connections, its own log, nothing told of the server.
    `runtime`: the folder that its workers share, if there are several.
    """
    common: dict[str, Any] = {
        "http": HttpProtocol,
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        # A proxy keeps its connections for up to a minute: who gives up first closes on the other's next request.
        "timeout_keep_alive": 75,
    }
    config = Config(app, **common | settings)
    # One that is renewed has its place beside the old one, and signals may add workers.
    config.shares = Shares(2 * config.workers, runtime)
    return config


class Server(uvicorn.Server):
    """uvicorn's server; it takes in the connections that wait in the listener before it closes it."""

    # The listener is one for all workers: one of them that ends, and is replaced, must not close it to the others.
    _is_alone = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._shares = config.shares
        self._listeners: list[Listener] = []
        self._beginning: set[asyncio.Task[None]] = set()
        self._rescanning: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin the application, then listen at these sockets, with a listener of our own."""
        await super().startup([])
        self._shares.claim()
        self._listeners = [Listener(one, self._shares, self._held, self._take_in) for one in sockets or []]
        for listener in self._listeners:
            listener.open(self.config.backlog)
        if CONTROL in self.lifespan.state and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._rescan)

    def _rescan(self) -> None:
        _keep(asyncio.get_running_loop().create_task(self.lifespan.state[CONTROL].rescan()), self._rescanning)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: connections that ended are nobody's any more."""
        self._shares.tell(self._held())
        return await super().on_tick(counter)

    def _held(self) -> int:
        return len(self.server_state.connections) + len(self._beginning)

    def _take_in(self, connection: socket.socket) -> None:
        # Its first step now: as a task it would be one turn of the event loop later, and each may be long.
        beginning = self._begin(connection)
        try:
            waits_for = beginning.send(None)
        except StopIteration:
            return
        _keep(asyncio.get_running_loop().create_task(_carried_on(beginning, waits_for)), self._beginning)

    async def _begin(self, connection: socket.socket) -> None:
        # A client that is gone already, or speaks no TLS where it should, is no failure of ours.
        with contextlib.suppress(OSError, ssl.SSLError):
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer, end. The system resets what nobody has accepted when the last listener closes."""
        if ADMISSION in self.lifespan.state:
            self.lifespan.state[ADMISSION].is_draining = True
        if self._is_alone:
            _take_nobody_in(sockets or [])
        self._shares.release()
        for connection in [connection for listener in self._listeners for connection in listener.close()]:
            self._take_in(connection)
        if self._beginning:
            await asyncio.wait(self._beginning, timeout=BEGINNING_SECONDS)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # typed as any class
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _keep(task: asyncio.Task[None], among: set[asyncio.Task[None]]) -> None:
    """Until it is done: the event loop does not hold its tasks."""
    among.add(task)
    task.add_done_callback(among.discard)


async def _carried_on(begun: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await rest_of(begun, waits_for)


class Worker(multiprocess.Process):
    """One of several processes. Its parent tells it to stop, once the parent itself listens no more."""

    config: Config

    @property
    def server(self) -> uvicorn.Server:
        """Made in the process itself."""
        if self._server is None:
            self._server = _ServerWithParent(self.config)
            threading.Thread(target=_stop_with_parent, args=(self._server,), name="parent", daemon=True).start()
        return self._server

    def ping(self, timeout: float = 5) -> bool:
        """Whether the process answers. One that ended meanwhile is not waited for."""
        self.parent_conn.send(b"ping")
        ready = multiprocessing.connection.wait([self.parent_conn, self.process.sentinel], timeout)
        if self.parent_conn not in ready:
            return False
        self.parent_conn.recv()
        return True


def _stop_with_parent(server: uvicorn.Server) -> None:
    """A parent that was killed tells nobody to stop; its workers would keep the port from whoever comes after it."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by its parent"
    parent.join()
    server.should_exit = True


class _ServerWithParent(Server):
    _is_alone = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Ctrl+C reaches parent and workers alike; a second one means it.
        if sig != signal.SIGINT or self.should_exit:
            super().handle_exit(sig, frame)


class Workers(Multiprocess):
    """uvicorn's parent of several processes; it closes its own copy of the listener before it stops them, and ends
    itself where none can start. `has_failed`: so it has ended.
    """

    config: Config

    def __init__(self, config: Config, sockets: list[socket.socket], readiness: Readiness) -> None:
        super().__init__(config, sockets)
        self._readiness = readiness
        self.has_failed = False

    def keep_subprocess_alive(self) -> None:
        """Replace each worker that ended or hangs, and say how it ended."""
        for index, worker in enumerate(self.processes):
            if worker.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            if self.signal_queue or self.should_exit.is_set():
                return  # it may have ended by the same signal, which comes first
            worker.process.join(ENDING_SECONDS)
            how = "SIGKILL, because it did not answer" if worker.process.is_alive() else ""
            worker.kill()
            worker.join()
            how = how or named(worker.exitcode or 0)
            structlog.get_logger("service.workers").error("worker ended", process=worker.pid, how=how)
            self.has_failed = self._is_last(worker.exitcode or 0)
            if self.has_failed:
                self.should_exit.set()
                return
            self.processes[index] = Worker(self.config, self.sockets)
            self.processes[index].start()

    def _is_last(self, status: int) -> bool:
        """Whether it ended by itself, as the next one would, and no other answers meanwhile."""
        return status > 0 and not (self._readiness.is_begun and self.config.shares.owners())

    def handle_usr1(self) -> None:
        """Renew the workers one after another: they read keys and certificates anew."""
        self.restart_all()

    def handle_hup(self) -> None:
        """Have one worker read the repository anew, for all of them."""
        for process_id in self.config.shares.owners():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGHUP)
                return

    def terminate_all(self) -> None:
        """Stop the workers. A listener that stayed open here would take connections that nobody answers."""
        _take_nobody_in(self.sockets)
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


# Multiprocess starts what its module calls Process, there is no other way to give it a class.
multiprocess.Process = Worker  # type: ignore[misc]  # a class is assigned on purpose


def _take_nobody_in(listeners: list[socket.socket]) -> None:
    """Whoever connects from now on hears nothing, asks again a second later, and is refused: the port is closed then.
    Without this, who connects between the last accept and the close is taken in and reset.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(TAKE_NOTHING)
    for listener in listeners:
        with contextlib.suppress(OSError):  # a sandbox may forbid it; a connection in a few thousand is reset then
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def create_app_in_worker(readiness: Readiness, runtime: Path) -> ASGIApp:
    """The application. Imported late: the parent of several workers holds neither it nor onnxruntime."""
    from service.app import create_app_from_environment

    # Until the server listens to it: there is nothing to read anew yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    hold(runtime)
    return create_app_from_environment(readiness, runtime)
