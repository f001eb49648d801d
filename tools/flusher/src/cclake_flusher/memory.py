"""Return freed memory to the operating system after a backlog."""

import ctypes
import sys
from collections.abc import Callable


def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


_trim = _malloc_trim()


def trim() -> None:
    """Return free pages within the heap to the system, if the C library supports it.

    By itself the C library returns only the pages above the last block in use. After a
    backlog, half of the heap would stay allocated but unused.
    """
    if _trim is not None:
        _trim(0)
