"""The processes that answer, and how they stop: the listener closes first, and who came before is answered."""

import asyncio
import contextlib
import ctypes
import multiprocessing
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess, multiprocess

from service.admission import ADMISSION
from service.http_protocol import HttpProtocol
from service.readiness import Readiness

# From Linux's socket.h and filter.h: a packet filter of one instruction, "return 0", takes no packet.
SO_ATTACH_FILTER = 26
TAKE_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


def server_config(app: ASGIApp | Callable[[], ASGIApp], **settings: Any) -> uvicorn.Config:
    """uvicorn's configuration as Heed needs it: its own connections, its own log, nothing told of the server."""
    common: dict[str, Any] = {
        "http": HttpProtocol,
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
    }
    return uvicorn.Config(app, **common | settings)


class Server(uvicorn.Server):
    """uvicorn's server; it takes in the connections that wait in the listener before it closes it."""

    # The listener is one for all workers: one of them that ends, and is replaced, must not close it to the others.
    _is_alone = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer, end. The system resets what nobody has accepted when the last listener closes."""
        if ADMISSION in self.lifespan.state:
            self.lifespan.state[ADMISSION].is_draining = True
        if self._is_alone:
            _take_nobody_in(sockets or [])
        # The loop closes its listeners in its own time; a copy can be closed at the moment when nobody waits.
        copies = [listener.dup() for listener in sockets or []]
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        # What the loop itself had just accepted is made a connection in its next turn.
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        for connection in [connection for copy in copies for connection in _last_connections(copy)]:
            await loop.connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # typed as any class
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class Worker(multiprocess.Process):
    """One of several processes. Its parent tells it to stop, once the parent itself listens no more."""

    @property
    def server(self) -> uvicorn.Server:
        """Made in the process itself."""
        if self._server is None:
            self._server = _ServerWithParent(self.config)
            threading.Thread(target=_stop_with_parent, args=(self._server,), name="parent", daemon=True).start()
        return self._server


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
    """uvicorn's parent of several processes; it closes its own copy of the listener before it stops them."""

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


def _last_connections(listener: socket.socket) -> list[socket.socket]:
    listener.setblocking(False)
    connections: list[socket.socket] = []
    with listener, contextlib.suppress(OSError):
        while True:
            connections.append(listener.accept()[0])
    for connection in connections:
        connection.setblocking(False)
    return connections


def create_app_in_worker(readiness: Readiness) -> ASGIApp:
    """The application. Imported late: the parent of several workers holds neither it nor onnxruntime."""
    from service.app import create_app_from_environment

    return create_app_from_environment(readiness)
