"""An application in this process, behind real sockets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from service.admission import ADMISSION, Admission
from service.server import Server, server_config
from tests.service.patience import PATIENCE_SECONDS, wait_until
from tests.service.wire import connected


@dataclass(frozen=True)
class Listening:
    """A server in a thread of this process."""

    port: int
    server: Server

    @property
    def admission(self) -> Admission:
        """Its one count of what waits."""
        admission: Admission = self.server.lifespan.state[ADMISSION]
        return admission

    def connected(self) -> socket.socket:
        """A connection of its own."""
        return connected(self.port)


@contextmanager
def listening(app: ASGIApp, keep_alive_seconds: int = 5) -> Iterator[Listening]:
    """The application behind real sockets, as the service's own process has it; stopped in peace with the block."""
    config = server_config(app, timeout_keep_alive=keep_alive_seconds, timeout_graceful_shutdown=PATIENCE_SECONDS)
    server = Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            # Its own word comes before it listens.
            wait_until(lambda: listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1)
            yield Listening(port, server)
        finally:
            server.should_exit = True
            thread.join()
