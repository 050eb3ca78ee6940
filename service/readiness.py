"""Whether every worker has loaded its models: one answer, whichever worker is asked."""

from multiprocessing import get_context


class Readiness:
    """Shared by the workers, which are started with it. A worker that comes later finds it complete."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._loaded = get_context("spawn").Value("i", 0)

    def count_worker(self) -> None:
        """One more worker has loaded or refused all that it found."""
        with self._loaded.get_lock():
            self._loaded.value += 1

    @property
    def is_complete(self) -> bool:
        """As many workers as there should be have loaded."""
        return bool(self._loaded.value >= self._workers)
