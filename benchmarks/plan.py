"""What one run is to do: how long, how often, on what."""

from dataclasses import dataclass
from pathlib import Path

from service.cores import usable_cores


@dataclass(frozen=True)
class Plan:
    """Seconds of one load, rounds where servers alternate, seconds of an overload, most requests of the soak."""

    repository: Path
    seconds: int
    rounds: int
    overload_seconds: int
    soak_requests: int
    is_quick: bool = False

    @property
    def warm_up_seconds(self) -> int:
        """Before a server's first load."""
        return 1

    @property
    def turns(self) -> int:
        """How often servers are asked where their ratio is claimed."""
        return 2 * self.rounds + 1

    @property
    def turn_seconds(self) -> int:
        """Of each turn: short, so that the machine has the same speed for all of them."""
        return max(2, self.seconds // 2)

    @property
    def worker_counts(self) -> tuple[int, ...]:
        """One, and all."""
        return tuple(sorted({1, usable_cores()}))
