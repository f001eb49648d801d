"""Lets long answers end when the server is asked to stop.

The server waits for its open connections at SIGTERM, and an event stream never
ends by itself.
"""

import signal
import threading
from types import FrameType

_state = {"watched": False, "requested": False}


def watch() -> None:
    """Take note of SIGTERM and SIGINT, and leave them to the server as before."""
    if _state["watched"] or threading.current_thread() is not threading.main_thread():
        return
    _state["watched"] = True
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def note(got: int, frame: FrameType | None, before: object = before) -> None:
            _state["requested"] = True
            if callable(before):
                before(got, frame)

        signal.signal(number, note)


def requested() -> bool:
    """Return whether the server is about to stop."""
    return _state["requested"]
