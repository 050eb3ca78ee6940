"""How long a test waits for what must come, and looks for what must not."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30
# How long is looked for what should not come or not stay: far longer than it takes where it comes.
A_WHILE_SECONDS = 3


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look often, until it is so."""
    due = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < due, "it did not happen"
        time.sleep(0.005)
