"""How the C library deals with the memory of large arrays."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_FROM = 2**30  # bytes


def keep_freed_memory() -> bool:
    """Keep freed memory for what comes next, instead of giving it back to the kernel each time.

    Arrays of tens of megabytes are otherwise mapped anew one by one, and their first use costs
    a third of the time of an analysis. Says whether the C library could be told (glibc can).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _FROM) and mallopt(_TRIM_THRESHOLD, 2 * _FROM - 1))
