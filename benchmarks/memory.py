"""The memory of a server's processes: what is resident, and the share that is nobody else's."""

import re
from collections.abc import Iterable
from pathlib import Path

KIB_IN_MIB = 1024


def resident_mib(pids: Iterable[int]) -> list[float]:
    """RSS of each process. What processes share is counted in each of them."""
    return [_read(Path(f"/proc/{pid}/status"), "VmRSS") for pid in pids]


def proportional_mib(pids: Iterable[int]) -> float:
    """PSS of all together: what they share is counted once."""
    return sum(_read(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids)


def _read(file: Path, name: str) -> float:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE)
    except OSError:
        return 0.0  # it ended meanwhile
    return int(found[1]) / KIB_IN_MIB if found else 0.0
