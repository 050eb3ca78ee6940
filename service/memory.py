"""Memory that was freed goes back to the system, and the collector keeps still."""

import ctypes
import gc

# From malloc.h.
M_MMAP_THRESHOLD = -3
MAPPED_FROM_BYTES = 2**20
# Once so many objects were made that are not gone yet, the collector looks at them, and all stands still for some
# milliseconds. At those that are in use it looks again after so many times, and at all there is after so many of these.
# What requests and connections leave behind goes without it.
YOUNG_OBJECTS, OLDER, OLDEST = 10_000, 100, 100


def return_freed_memory() -> None:
    """Give blocks from MAPPED_FROM_BYTES on a mapping of their own. Otherwise glibc raises that bound by itself up to
    32 MiB, and one large picture's 400 MB stay with the process for good. Other C libraries do not need it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)


def quieten_collector() -> None:
    """What is there now stays: the collector need not look at it again, nor look as often at what comes and goes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, OLDER, OLDEST)
