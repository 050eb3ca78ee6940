"""Whether every worker has loaded its models: one answer, whichever worker is asked."""

from pathlib import Path

from service.shares import Places


class Readiness:
    """Shared by the workers, which are started with it. A worker that comes later finds it complete."""

    def __init__(self, workers: int = 1, directory: Path | None = None) -> None:
        """`directory`: what the processes of the service share, if they are several."""
        self._loaded = Places(workers, directory)

    def count_worker(self) -> None:
        """One more worker has loaded or refused all that it found; not one more where it replaces a dead one."""
        self._loaded.take()

    @property
    def is_begun(self) -> bool:
        """Some worker has loaded."""
        return any(self._loaded.owners)

    @property
    def is_complete(self) -> bool:
        """As many workers as there should be have loaded."""
        return all(self._loaded.owners)
