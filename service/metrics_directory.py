"""Where several workers write what they count: named in the environment that they are started with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class MetricsDirectoryError(RuntimeError):
    """The folder that the operator named cannot be used. Says which, and why."""


@contextmanager
def metrics_directory(runtime: Path) -> Iterator[Path]:
    """The folder, named in the environment that the block's child processes get: one in the service's own, or the
    operator's, which is emptied of counts and left there at the end.

    Raises MetricsDirectoryError where the operator's folder cannot be used.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given:
        yield _emptied(Path(given))
        return
    made = runtime / "metrics"
    made.mkdir()
    os.environ[DIRECTORY_VARIABLE] = str(made)
    try:
        yield made
    finally:
        del os.environ[DIRECTORY_VARIABLE]


def named_directory() -> Path | None:
    """The folder, in a process that was started with its name."""
    named = os.environ.get(DIRECTORY_VARIABLE)
    return Path(named) if named else None


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
