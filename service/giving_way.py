"""A long decode gives way to whoever needs the core, or the interpreter, meanwhile."""

import io
import threading
import time
from collections.abc import Callable

# So long a thread works before it asks whether it is in anybody's way.
SLICE_SECONDS = 0.0002
# It is where its work took so much longer than it would have taken alone, as a part of that, and others of the process
# worked as long meanwhile; and for some time after that.
CONTESTED = 0.25
CONTESTED_SECONDS = 0.02
PAUSE_SECONDS = 0.001


class GivingWay(io.BytesIO):
    """A file whose reader decodes each part as it is read: between two reads the reader sleeps for a moment, where it
    was kept waiting while others of its process worked. They wait no longer than one part takes then; left to itself
    the system gives each of them several milliseconds in turn. To another process the system alone does justice.
    """

    def __init__(
        self,
        content: bytes,
        now: Callable[[], float] = time.perf_counter,
        worked: Callable[[], float] = time.thread_time,
        all_worked: Callable[[], float] = time.process_time,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """`worked`: how long this thread was running, of the time until now; `all_worked`: the process, this thread
        included.
        """
        super().__init__(content)
        self._now = now
        self._worked = worked
        self._all_worked = all_worked
        self._pause = pause
        # In this thread: another one's time is another.
        self._thread = threading.get_ident()
        self._since = self._times()
        self._contested_until = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        """The next part."""
        if self._thread != threading.get_ident():
            self._thread, self._since = threading.get_ident(), self._times()
        elif self._worked() - self._since[1] >= SLICE_SECONDS:
            self._give_way(*self._times())
            self._since = self._times()
        return super().read(size)

    def _give_way(self, now: float, worked: float, all_worked: float) -> None:
        since, before, all_before = self._since
        alone = worked - before
        kept_waiting, others = now - since - alone, all_worked - all_before - alone
        if min(kept_waiting, others) >= CONTESTED * alone:
            self._contested_until = now + CONTESTED_SECONDS
        if now < self._contested_until:
            self._pause(PAUSE_SECONDS)

    def _times(self) -> tuple[float, float, float]:
        return self._now(), self._worked(), self._all_worked()
