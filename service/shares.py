"""How many connections each worker holds, for all of them to see."""

import os
from multiprocessing import get_context

from service.processes import is_alive


class Shares:
    """Made by the parent; each worker takes a place in it, and whoever comes in a dead one's stead takes that."""

    def __init__(self, workers: int = 1) -> None:
        context = get_context("spawn")
        # Its lock is held for a moment, when a worker starts or ends. A count is one machine word, written by one.
        self._owners = context.Array("i", workers)
        self._held = context.RawArray("i", workers)
        self._place: int | None = None

    def claim(self) -> None:
        """This process is one of the workers from now on."""
        with self._owners.get_lock():
            free = [place for place, owner in enumerate(self._owners.get_obj()) if not owner or not is_alive(owner)]
            if free:
                self._place = free[0]
                self._held[self._place] = 0
                self._owners[self._place] = os.getpid()

    def release(self) -> None:
        """This process takes nobody in any more."""
        if self._place is not None:
            self._owners[self._place] = 0
            self._place = None

    def tell(self, held: int) -> None:
        """So many connections are this worker's now."""
        if self._place is not None:
            self._held[self._place] = held

    def owners(self) -> list[int]:
        """The processes that take connections in."""
        owners: list[int] = list(self._owners)  # type: ignore[call-overload]  # an array, though the stubs have no such
        return [owner for owner in owners if owner and is_alive(owner)]

    def of_others(self) -> list[int]:
        """What each other worker told last."""
        return [
            self._held[place] for place, owner in enumerate(self._owners.get_obj()) if owner and place != self._place
        ]
