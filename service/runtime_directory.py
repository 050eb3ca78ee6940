"""What the processes of one service share: a folder in memory, made before them and gone after them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "heed-run-"
# Whoever shares a folder holds this file in it.
LOCK = "lock"


@contextmanager
def runtime_directory() -> Iterator[Path]:
    """The folder. What services that were killed left behind is removed."""
    place = _memory()
    _sweep(place)
    made, lock = _made(place)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def hold(directory: Path) -> None:
    """A worker holds the folder until it ends: while it outlives a parent that was killed, nobody sweeps it away."""
    # It has none where it was swept: the parent is dead, and this worker ends.
    with suppress(OSError):
        _lock(directory, os.O_RDONLY, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def alone_with(file: Path) -> Iterator[None]:
    """In this block no other process is alone with it. The system takes it from one that is killed."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sweep(place: Path) -> None:
    """Remove what parents that were killed have left behind: folders of this user whose lock no process holds."""
    for left in place.glob(f"{PREFIX}*"):
        # Held by somebody, not to be opened, just being made or swept at this moment: not ours to remove.
        with suppress(OSError):
            if left.lstat().st_uid == os.geteuid():
                lock = _lock(left, os.O_RDONLY, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)


def _made(place: Path) -> tuple[Path, int]:
    """A new folder, and the lock that holds it until it is closed or the process ends, however it ends."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        with suppress(FileNotFoundError):  # another start has swept it before it was held
            return made, _lock(made, os.O_RDONLY | os.O_CREAT, fcntl.LOCK_SH)


def _lock(folder: Path, how: int, kind: int) -> int:
    """The folder's lock, opened: parent and workers share it, who sweeps has it alone.

    Raises FileNotFoundError where it is gone or was removed while it was waited for, BlockingIOError where it is held
    and nobody wants to wait.
    """
    handle = os.open(folder / LOCK, how | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, kind)
        if not os.fstat(handle).st_nlink:
            raise FileNotFoundError(folder / LOCK)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _memory() -> Path:
    """On a disk, each page that workers count in would be written again every few seconds."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
