"""Return memory to the operating system after a backlog."""

import ctypes
import sys
from collections.abc import Callable

BACKLOG = 1 << 20
"""Bytes handled after which a process should call `trim` when it becomes idle."""


def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


_trim = _malloc_trim()


def trim() -> None:
    """Return the freed pages within the heap, if the C library can do that.

    Without it glibc returns only what lies above the last block in use, which is
    little after a backlog.
    """
    if _trim is not None:
        _trim(0)
