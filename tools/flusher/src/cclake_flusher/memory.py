"""Memory that a backlog has taken goes back to the system."""

import ctypes
import sys
from collections.abc import Callable


def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


_trim = _malloc_trim()


def give_back() -> None:
    """Give the freed pages within the heap back, where the C library can do that.

    Of itself it gives back only what lies above the last block in use: after a
    backlog that is little, and half of what the process holds would be air.
    """
    if _trim is not None:
        _trim(0)
