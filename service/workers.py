"""The processes that answer: started, watched over, replaced, renewed, stopped."""

import contextlib
import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess, multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS

from service.processes import end_with_parent, named
from service.readiness import Readiness
from service.runtime_directory import hold
from service.server import Config, Server, take_nobody_in

# A process that ended has closed its pipes before it can be seen that it has.
ENDING_SECONDS = 0.5
# A forked worker has at once what its parent imported, and shares its memory. Other systems' libraries cannot bear it.
IS_FORKED = sys.platform == "linux"
PROCESSES = multiprocessing.get_context("fork" if IS_FORKED else "spawn")
STOPS = {signal.SIGTERM, signal.SIGINT}
# What a worker makes of signals until its server listens to them: there is nothing yet to read anew.
ITS_OWN: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_IGN}


class Worker(multiprocess.Process):
    """One of several processes. Its parent tells it to stop, once the parent itself listens no more."""

    config: Config

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        # uvicorn's own are spawned.
        self.process = PROCESSES.Process(target=self.target, args=(sockets,))  # type: ignore[attr-defined]

    def start(self) -> None:
        """A signal that comes before the process listens to it waits for it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What runs in the process."""
        for one in SIGNALS:
            signal.signal(one, ITS_OWN.get(one, signal.SIG_DFL))
        if IS_FORKED:
            # Who is forked later holds the pipe too by which a worker sees its parent's end.
            end_with_parent(signal.SIGTERM)
        # Ctrl+C before the server listens to it: the parent expects its end.
        with contextlib.suppress(KeyboardInterrupt):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            super().target(sockets)

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

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        readiness: Readiness,
        when_started: Callable[[], None] = lambda: None,
    ) -> None:
        """`when_started`: what may use threads, which a process that forks should not have."""
        super().__init__(config, sockets)
        self._readiness = readiness
        self._when_started = when_started
        self.has_failed = False

    def init_processes(self) -> None:
        """Start the workers, if any can start."""
        if IS_FORKED:
            try:
                _import_application()
            except Exception:  # noqa: BLE001  # whatever it is, each worker would run into it
                structlog.get_logger("service.workers").exception("the application cannot be imported")
                self.has_failed = True
                self.should_exit.set()
                return
        # It may have been told to stop meanwhile.
        if STOPS.isdisjoint(self.signal_queue):
            super().init_processes()
            self._when_started()

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
        take_nobody_in(self.sockets)
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


# Multiprocess starts what its module calls Process, there is no other way to give it a class.
multiprocess.Process = Worker  # type: ignore[assignment,misc]  # a class is assigned on purpose


def _import_application() -> None:
    """Once, for all workers that are forked. Their collectors do not look at what is there now: that would make each
    page of it their own.
    """
    import service.app  # noqa: F401

    gc.collect()
    gc.freeze()


def create_app_in_worker(readiness: Readiness, runtime: Path) -> ASGIApp:
    """The application. Imported late: who asks for help, or has set something wrong, need not wait for it."""
    from service.app import create_app_from_environment

    hold(runtime)
    return create_app_from_environment(readiness, runtime)
