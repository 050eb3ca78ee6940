"""The machine and the versions of one run."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from benchmarks.environments import interpreter
from service.cores import usable_cores

OURS = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "onnxruntime",
    "numpy",
    "pydantic",
    "orjson",
    "pillow",
)
GIB = 2**30


def machine() -> str:
    """What a server runs on, and wrk, in one line."""
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split()
    return f"{host()}, wrk {wrk[1] if len(wrk) > 1 else '?'} with one thread on the same machine"


def host() -> str:
    """Cores, processor, memory, system, Python, in one line."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    processor = found[1] if found else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return (
        f"{usable_cores()} cores of {processor}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().partition('-')[0]}, {interpreter()}"
    )


def versions() -> str:
    """What Heed runs on."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in OURS)
