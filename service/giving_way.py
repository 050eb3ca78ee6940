"""A long decode gives way to whoever needs the core, or the interpreter, meanwhile."""

import io
import threading
import time
from collections.abc import Callable

# So long a thread works before it asks whether it is in anybody's way.
SLICE_SECONDS = 0.0002
# It is where its work took that many times as long as it would have taken alone, and for some time after that.
CONTESTED = 1.25
CONTESTED_SECONDS = 0.02
PAUSE_SECONDS = 0.001


class GivingWay(io.BytesIO):
    """A file whose reader decodes each part as it is read: between two reads the reader sleeps for a moment, where it
    was kept waiting while it worked. Somebody else has something to do then, and waits no longer than one part takes;
    left to itself the system gives each of them several milliseconds in turn.
    """

    def __init__(
        self,
        content: bytes,
        now: Callable[[], float] = time.perf_counter,
        worked: Callable[[], float] = time.thread_time,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """`worked`: how long this thread was running, of the time until now."""
        super().__init__(content)
        self._now = now
        self._worked = worked
        self._pause = pause
        # In this thread: another one's time is another.
        self._thread = threading.get_ident()
        self._since = now(), worked()
        self._contested_until = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        """The next part."""
        now, worked = self._now(), self._worked()
        alone = worked - self._since[1]
        if self._thread != threading.get_ident():
            self._thread, self._since = threading.get_ident(), (now, worked)
        elif alone >= SLICE_SECONDS:
            if now - self._since[0] >= CONTESTED * alone:
                self._contested_until = now + CONTESTED_SECONDS
            if now < self._contested_until:
                self._pause(PAUSE_SECONDS)
            self._since = self._now(), self._worked()
        return super().read(size)
