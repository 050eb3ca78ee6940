"""How many cores this process may use: its affinity mask and its cgroup's quota, not the machine's count."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """At least one. A quota of 1.5 cores counts as two: half a core idle costs less than a third of one missing."""
    quota = _quota_v2(cgroup / "cpu.max") or _quota_v1(cgroup / "cpu")
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def _quota_v2(file: Path) -> float | None:
    fields = _read(file).split()
    return _share(*fields) if len(fields) == 2 else None


def _quota_v1(folder: Path) -> float | None:
    return _share(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _share(quota: str, period: str) -> float | None:
    # "max" in version 2 and -1 in version 1 mean: no quota.
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
