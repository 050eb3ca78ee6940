"""What this worker has counted and what all have: kept in memory, shown to the others in a folder."""

import os
from collections.abc import Container, Iterator
from fnmatch import fnmatch
from pathlib import Path

import structlog

from service.counts_file import CountsFile, content_of, read, replaced
from service.processes import is_alive
from service.series import Counted, Numbers, Series, Version, add, of_ended, version_of

FILE = "worker_{}.db"


class Counts:
    """`directory`: where all workers of one service show theirs; None where there is one worker."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._counted: Counted = {}
        self._file: CountsFile | None = None
        self._is_shown = True
        self._logger = structlog.get_logger("service.metrics")
        if directory is not None:
            own = directory / FILE.format(os.getpid())
            self._file = CountsFile(own)
            if own.exists():
                # A process of the same number has ended here: what it counted is counted on.
                self._counted = of_ended(read(own))

    @property
    def is_shared(self) -> bool:
        """Whether there are other workers."""
        return self._directory is not None

    def numbers(self, series: Series, *labels: str) -> Numbers:
        """The numbers of a series with these labels, to be added to."""
        return self._counted.setdefault(series.key(*labels), series.zeros())

    def show(self) -> None:
        """To the other workers. Where there is no place for it, they go on without: it is logged once, and tried
        again the next time.
        """
        if self._file is None:
            return
        try:
            self._file.write(self._counted)
        except OSError as error:
            if self._is_shown:
                self._logger.warning("counts are not shown to the other workers", reason=error.strerror)
            self._is_shown = False
        else:
            self._is_shown = True

    def total(self, told: Container[Version]) -> Counted:
        """What all workers have counted of these versions. Raises OSError where another's cannot be read."""
        totals: Counted = {}
        for counted in self._all():
            for key, numbers in counted.items():
                if version_of(key) in told:
                    add(totals, key, numbers)
        return totals

    def versions(self) -> list[Version]:
        """Of which some worker has counted something, in the order in which they were loaded there."""
        try:
            return list(dict.fromkeys(version_of(key) for counted in self._all() for key in counted))
        except OSError as error:
            self._logger.warning("counts of other workers cannot be read", reason=error.strerror)
            return []

    def forget(self, version: Version) -> None:
        """As if nothing had been counted of it, by this worker and those that have ended."""
        for key in [key for key in self._counted if version_of(key) == version]:
            del self._counted[key]
        try:
            for file in self._files():
                if not _is_of_a_worker(file):
                    self._forget_in(file, version)
        except OSError as error:
            self._logger.warning("counts of workers that ended are kept", reason=error.strerror)

    def _forget_in(self, file: Path, version: Version) -> None:
        counted = read(file)
        kept = {key: numbers for key, numbers in counted.items() if version_of(key) != version}
        if len(kept) < len(counted):
            os.close(replaced(file, content_of(kept)))

    def _all(self) -> Iterator[Counted]:
        yield dict(self._counted)  # at once: the event loop may add to them
        for file in self._files():
            counted = read(file)
            # Who has ended waits for nothing; what it counted stays.
            yield counted if _is_of_a_worker(file) else of_ended(counted)

    def _files(self) -> list[Path]:
        if self._directory is None:
            return []
        own = FILE.format(os.getpid())
        return [
            self._directory / name
            for name in sorted(os.listdir(self._directory))
            if fnmatch(name, FILE.format("*")) and name != own
        ]


def _is_of_a_worker(file: Path) -> bool:
    return is_alive(int(file.stem.rpartition("_")[2]))
