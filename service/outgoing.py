"""What is written in one turn of the event loop goes out at its end, all of it together: a client that is woken by the
first answer finds the others there, and a system call between two answers slows the Python after it.
"""

import asyncio
from typing import Any

# Where the connections of one server find their outbox.
OUTBOX = "heed_outbox"
# More than that waits for no turn: whoever writes it must learn that its client does not read.
MOST_KEPT_BYTES = 64 * 1024


class Outbox:
    """The connections of one event loop that have something to send."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._full: list[Outgoing] = []

    def add(self, outgoing: "Outgoing") -> None:
        """It has something to send."""
        if not self._full:
            self._loop.call_soon(self._send)
        self._full.append(outgoing)

    def _send(self) -> None:
        try:
            while self._full:
                self._full.pop().flush()
        finally:
            if self._full:
                self._loop.call_soon(self._send)


class Outgoing:
    """A connection's transport, which sends what is written to it at the end of the turn, or before it is closed."""

    __slots__ = ("_kept", "_outbox", "_size", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        self._transport = transport
        self._outbox = outbox
        self._kept: list[bytes] = []
        self._size = 0
        # The transport's own, asked several times in each request. All others are looked up, which is seldom: what a
        # connection keeps, the garbage collection looks at.
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep it until the end of the turn."""
        if not self._kept:
            self._outbox.add(self)
        self._kept.append(data)
        self._size += len(data)
        if self._size > MOST_KEPT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is kept; nothing to a client that is gone."""
        if self._kept:
            kept, self._kept, self._size = self._kept, [], 0
            if not self.is_closing():
                self._transport.write(kept[0] if len(kept) == 1 else b"".join(kept))

    def write_eof(self) -> None:
        """Send what is kept, and that nothing more comes."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what is kept, and close."""
        self.flush()
        self._transport.close()
