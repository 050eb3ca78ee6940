"""Publishing into the model repository: a version is there whole, or not at all."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from export.errors import PublishingError
from models.layout import CHECKSUMS_FILE, MODEL_NAME, versions

INCOMING = ".incoming-"


@contextlib.contextmanager
def incoming(repository: Path, name: str) -> Iterator[Path]:
    """A folder beside the model's versions to put a new one together in. It is gone afterwards, unless it was
    published. The service looks at no folder whose name begins with a dot.

    Raises PublishingError for a name that is none, or where the repository cannot be written.
    """
    if not MODEL_NAME.fullmatch(name):
        raise PublishingError(f"'{name}' is no model name: letters, digits, '.', '_', '-', at most 64")
    try:
        (repository / name).mkdir(parents=True, exist_ok=True)
        with locked(repository / name):  # so that nobody sweeps a folder away that is not yet locked
            _sweep(repository / name)
            folder = Path(tempfile.mkdtemp(prefix=INCOMING, dir=repository / name))
            lock = _lock(folder)
    except OSError as refused:
        raise PublishingError(f"{repository / name}: {refused.strerror}") from refused
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # published, it has another name by now
        os.close(lock)


def publish(folder: Path) -> Path:
    """Write SHA256SUMS and give the folder the next free number. Returns the new version's folder.

    Everything is on the disk before the rename, and the rename fails rather than replace a version that another
    export has published meanwhile.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / CHECKSUMS_FILE).write_text("".join(lines))
    for path in (*folder.rglob("*"), folder):
        _flush(path)
    folder.chmod(0o755)  # mkdtemp's folders are their owner's alone; the service may run as somebody else
    number = max(versions(folder.parent), default=0) + 1
    while True:
        target = folder.parent / str(number)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
            number += 1
        else:
            _flush(folder.parent)
            return target


def is_whole(version: Path) -> bool:
    """Whether every file that SHA256SUMS names is there and is what it was."""
    try:
        lines = [line.split("  ", 1) for line in (version / CHECKSUMS_FILE).read_text().splitlines()]
        return bool(lines) and all(_sha256(version / name) == digest for digest, name in lines)
    except (OSError, ValueError):
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold the folder against every other process that locks it; the lock ends with this process at the latest.

    Raises BlockingIOError where another one holds it and nobody wants to wait, FileNotFoundError where it is gone.
    """
    lock = _lock(folder, wait)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, wait: bool = True) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.fstat(handle).st_ino != folder.stat().st_ino:
            raise FileNotFoundError(folder)  # removed, and made anew, while the lock was waited for
    except BaseException:
        os.close(handle)
        raise
    return handle


def _sweep(model: Path) -> None:
    """Remove what exports that were killed have left behind: folders that nobody holds a lock on."""
    for left in model.glob(f"{INCOMING}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            lock = _lock(left, wait=False)
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
