"""Work that a Ctrl-C does not tear apart."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a Ctrl-C wait until the work inside is through; a second one does not wait.

    A commit that is interrupted leaves files of which nobody knows whether the
    table holds them; and where a library runs callbacks, the exception is lost.
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
