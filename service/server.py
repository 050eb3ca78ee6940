"""One server: it takes connections in with a listener of its own, and when it stops answers whoever came before."""

import asyncio
import contextlib
import ctypes
import signal
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from service.admission import ADMISSION
from service.call import rest_of
from service.http_protocol import HttpProtocol
from service.listener import Listener
from service.shares import Shares

# From Linux's socket.h and filter.h: a packet filter of one instruction, "return 0", takes no packet.
SO_ATTACH_FILTER = 26
TAKE_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
# Whoever was taken in and has not said its first word by then, with TLS, is not waited for when the server stops.
BEGINNING_SECONDS = 0.5
# Where the lifespan's state holds what reads the repository anew.
CONTROL = "heed_control"


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
            take_nobody_in(sockets or [])
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


def take_nobody_in(listeners: list[socket.socket]) -> None:
    """Whoever connects from now on hears nothing, asks again a second later, and is refused: the port is closed then.
    Without this, who connects between the last accept and the close is taken in and reset.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(TAKE_NOTHING)
    for listener in listeners:
        with contextlib.suppress(OSError):  # a sandbox may forbid it; a connection in a few thousand is reset then
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))
