"""Wait for the signal to stop, and end long answers then.

At SIGTERM the server waits for open connections, and an event stream never ends by
itself.
"""

import asyncio
import contextlib
import signal
from types import FrameType

from uvicorn import Server

DATE_S = 1.0  # how often the Date header of the answers is renewed
_state = {"requested": False}


async def main_loop(server: Server) -> None:
    """Replace uvicorn's loop, which wakes an idle server ten times a second."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def note(got: int, frame: FrameType | None, before: object = before) -> None:
            _state["requested"] = True
            if callable(before):
                before(got, frame)
            loop.call_soon_threadsafe(stop.set)

        signal.signal(number, note)
    while not await server.on_tick(0):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), DATE_S)


def requested() -> bool:
    """Return whether the server is about to stop."""
    return _state["requested"]
