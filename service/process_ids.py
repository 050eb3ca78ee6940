"""Whether a process still runs."""

import os


def is_alive(process_id: int) -> bool:
    """Whether there is a process of this number, of whichever user."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
