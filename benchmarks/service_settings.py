"""Which settings this version of the service has, from its own help."""

import functools
import re
import subprocess
import sys

from benchmarks.processes import ROOT


def default_of(name: str) -> str | None:
    """The default of a setting; None where this version has no such setting."""
    found = re.search(rf"^\s*{re.escape(name)} \(default (.*)\)$", _help(), re.MULTILINE)
    return found[1] if found else None


@functools.cache
def _help() -> str:
    command = [sys.executable, "-m", "service", "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
