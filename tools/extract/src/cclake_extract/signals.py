"""Defer Ctrl-C during work that must not be interrupted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def defer_sigint() -> Iterator[None]:
    """Deliver a Ctrl-C after the block; a second one interrupts at once.

    An interrupted commit leaves files that may or may not belong to the table. If a
    library runs callbacks, the exception is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal waiting
        if waiting:
            raise KeyboardInterrupt
        waiting = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)
