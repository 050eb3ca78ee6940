"""Other clients beside the one that is looked at: processes that ask until they are killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.asked import Asked

ROOT = Path(__file__).parents[2]


@contextmanager
def neighbours(asked: Asked, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many of them, all asking when the block begins; what is left of them is killed at its end."""
    command = [sys.executable, "-m", "tests.clients.triton.neighbour", asked.address, str(asked.repository)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for one in started:
            assert one.stdout
            assert one.stdout.readline() == "asking\n", "a neighbour did not begin to ask"
        yield started
    finally:
        for one in started:
            one.kill()
            one.wait()
            assert one.stdout
            one.stdout.close()
