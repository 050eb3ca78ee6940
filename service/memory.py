"""Memory that was freed goes back to the system, and the collector keeps still."""

import ctypes
import gc

# From malloc.h.
M_MMAP_THRESHOLD = -3
MAPPED_FROM_BYTES = 2**20
# Objects that are made and not yet gone before the collector looks; everything stands still meanwhile.
YOUNG_OBJECTS = 50_000


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
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
