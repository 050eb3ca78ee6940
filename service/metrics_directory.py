"""Where workers write what they count: a folder in memory, made by their parent before them and gone after them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# prometheus_client reads it when it is first imported, so nothing here may import it.
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SHARED_MEMORY = Path("/dev/shm")


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
    with tempfile.TemporaryDirectory(prefix="heed-metrics-", dir=_memory(), ignore_cleanup_errors=True) as made:
        os.environ[DIRECTORY_VARIABLE] = made
        try:
            yield Path(made)
        finally:
            del os.environ[DIRECTORY_VARIABLE]


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


def _memory() -> Path | None:
    """On a disk, each page that was counted in would be written again every few seconds."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None
