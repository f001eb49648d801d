"""End long answers when the server is to stop.

At SIGTERM the server waits for open connections, and an event stream never ends by
itself.
"""

import signal
import threading
from types import FrameType

_state = {"watched": False, "requested": False}


def watch() -> None:
    """Record SIGTERM and SIGINT, and pass them on to the server."""
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
