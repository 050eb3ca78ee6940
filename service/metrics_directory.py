"""Where workers write what they count: a folder in memory, made by their parent before them and gone after them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from starlette.types import ASGIApp

# prometheus_client reads it when it is first imported, so nothing here may import it.
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SHARED_MEMORY = Path("/dev/shm")
PREFIX = "heed-metrics-"
# Whoever counts in a folder that was made here holds this file in it.
LOCK = "lock"


class MetricsDirectoryError(RuntimeError):
    """The folder that the operator named cannot be used. Says which, and why."""


@contextmanager
def metrics_directory() -> Iterator[Path]:
    """The folder, named in the environment that the block's child processes get. One that the operator has named is
    emptied of counts and left there at the end.

    Raises MetricsDirectoryError where the operator's folder cannot be used.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given:
        yield _emptied(Path(given))
        return
    place = _memory()
    _sweep(place)
    made, lock = _made(place)
    os.environ[DIRECTORY_VARIABLE] = str(made)
    try:
        yield made
    finally:
        del os.environ[DIRECTORY_VARIABLE]
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def created_in_directory(create_app: Callable[[], ASGIApp]) -> ASGIApp:
    """A worker's application. It holds the folder until it ends: while it outlives a parent that was killed, it still
    counts there, and nobody sweeps the folder away.
    """
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if directory:
        # It has none where the operator has named it, or where it was swept: the parent is dead, and this worker ends.
        with suppress(OSError):
            _lock(Path(directory), os.O_RDONLY, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return create_app()


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


def _emptied(directory: Path) -> Path:
    """Counts of an earlier run would be added to this one's."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in directory.glob("*.db"):
            file.unlink()
    except OSError as error:
        raise MetricsDirectoryError(
            f"{DIRECTORY_VARIABLE}: the folder '{directory}' cannot be used: {error.strerror}"
        ) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise MetricsDirectoryError(f"{DIRECTORY_VARIABLE}: the folder '{directory}' cannot be written to")
    return directory


def _memory() -> Path:
    """On a disk, each page that was counted in would be written again every few seconds."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
