"""Stop on SIGTERM and SIGINT without leaving work half done."""

import contextlib
import ctypes
import os
import signal
import sys
from types import FrameType

PR_SET_PDEATHSIG = 1


class Stop:
    """Becomes true at the first SIGTERM or SIGINT; `fd` becomes readable then.

    Put `fd` into the same poll as the work, so that a wait ends at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self.fd, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b".")

    def __bool__(self) -> bool:
        return self.requested


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask Linux to send this process a signal when its parent dies; no-op elsewhere.

    The default is SIGKILL: a tool that survives kill -9 anywhere needs no warning,
    and one that drains would hold its locks and ports for a while.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
