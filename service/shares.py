"""How many connections each worker holds, for all of them to see."""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path

from service.processes import is_alive
from service.runtime_directory import alone_with

LOCK_FILE = "places.lock"


class Places:
    """Of workers, one for each, for all of them to see: made by the parent, which hands it to them. It has no name that
    a service that was killed could leave behind.
    """

    def __init__(self, workers: int, directory: Path | None = None) -> None:
        """`directory`: what the processes of the service share, if they are several."""
        self.owners: ctypes.Array[ctypes.c_int] = get_context("spawn").RawArray("i", workers)
        self._lock = directory and directory / LOCK_FILE

    def take(self) -> int | None:
        """A dead process' place, else a free one, is this one's from now on. None where there is none."""
        with self._alone():
            dead = [place for place, owner in enumerate(self.owners) if owner and not is_alive(owner)]
            place = next(iter([*dead, *(place for place, owner in enumerate(self.owners) if not owner)]), None)
            if place is not None:
                self.owners[place] = os.getpid()
            return place

    def _alone(self) -> AbstractContextManager[None]:
        return alone_with(self._lock) if self._lock else nullcontext()


class Shares:
    """Made by the parent; each worker takes a place in it, and whoever comes in a dead one's stead takes that."""

    def __init__(self, workers: int = 1, directory: Path | None = None) -> None:
        self._places = Places(workers, directory)
        # A count is one machine word, written by one.
        self._held = get_context("spawn").RawArray("i", workers)
        self._place: int | None = None

    def claim(self) -> None:
        """This process is one of the workers from now on."""
        self._place = self._places.take()
        self.tell(0)

    def release(self) -> None:
        """This process takes nobody in any more."""
        if self._place is not None:
            self._places.owners[self._place] = 0
            self._place = None

    def tell(self, held: int) -> None:
        """So many connections are this worker's now."""
        if self._place is not None:
            self._held[self._place] = held

    def owners(self) -> list[int]:
        """The processes that take connections in."""
        return [owner for owner in self._places.owners if owner and is_alive(owner)]

    def of_others(self) -> list[int]:
        """What each other worker told last."""
        return [self._held[place] for place, owner in enumerate(self._places.owners) if owner and place != self._place]
