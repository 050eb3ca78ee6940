"""Other processes: whether one runs, how it ended, what it is handed, and that it ends with its parent."""

import asyncio
import contextlib
import ctypes
import os
import signal

# From Linux's prctl.h: the signal that a process gets when its parent ends.
PR_SET_PDEATHSIG = 1


def is_alive(process_id: int) -> bool:
    """Whether there is a process of this number, of whichever user."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def named(status: int) -> str:
    """How a process ended, by its exit status."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # real-time signals have numbers alone
        return f"signal {-status}"


async def hand_over(pipe: asyncio.StreamWriter, *pieces: bytes) -> None:
    """Write to a child's standard input; to one that has ended nothing, which is told where its answer is read."""
    with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop's own, where the pipe is closed already
        pipe.writelines(pieces)
        await pipe.drain()


def end_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """By this signal, also where the parent is killed while a graph runs that never ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
