"""A connection without a socket: bytes go in, and each piece that is written is kept."""

import asyncio
from typing import Any

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from service.http_protocol import HttpProtocol
from service.server import server_config
from tests.service.patience import PATIENCE_SECONDS


class Transport(asyncio.Transport):
    """Keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = asyncio.Event()
        # Set at each of both.
        self.changed = asyncio.Event()

    def write(self, data: Any) -> None:
        """Keep it."""
        self.pieces.append(bytes(data))
        self.changed.set()

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed.is_set()

    def close(self) -> None:
        """Note it."""
        self.closed.set()
        self.changed.set()

    def can_write_eof(self) -> bool:
        """It cannot say so and still read."""
        return False

    def pause_reading(self) -> None:
        """Whoever writes here may always write."""

    def resume_reading(self) -> None:
        """The same."""


class Connection:
    """One connection of a client to an application; made on the event loop."""

    def __init__(self, app: ASGIApp, state: dict[str, Any], root_path: str = "") -> None:
        config = server_config(app, root_path=root_path)
        config.load()
        self.transport = Transport()
        self.server_state = ServerState()
        self.protocol = HttpProtocol(config=config, server_state=self.server_state, app_state=state)
        self.protocol.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        """As one piece."""
        self.protocol.data_received(data)

    async def answers(self, count: int = 1) -> list[bytes]:
        """The pieces that were written since the last time, once there are so many, or the connection is closed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.transport.pieces) < count and not self.transport.is_closing():
                self.transport.changed.clear()
                await self.transport.changed.wait()
        pieces, self.transport.pieces = self.transport.pieces, []
        return pieces

    async def ask(self, data: bytes) -> bytes:
        """The answer to one request."""
        self.send(data)
        return b"".join(await self.answers())
