"""Sleep until the buffer has changed."""

import contextlib
import select
from pathlib import Path
from typing import Any

from cclake_common.stop import Stop

POLL_S = 0.2


class Wake:
    """Wakes by inotify on the folder of the buffer, or by polling without it.

    The WAL changes at every commit, and it comes and goes; so its folder is
    watched, and other names in it are ignored.
    """

    def __init__(self, path: Path, stop: Stop) -> None:
        self._names = {path.name, f"{path.name}-wal"}
        self._stop = stop
        self._inotify = _watch(path.absolute().parent)

    def drain(self) -> None:
        """Forget past changes; the caller looks at the buffer after this."""
        if self._inotify:
            self._inotify.read(timeout=0)

    def wait(self, seconds: float) -> None:
        """Wait for a change, the end, or `seconds`."""
        if not self._inotify:
            select.select([self._stop.fd], [], [], min(seconds, POLL_S))
            return
        ready = select.select([self._inotify, self._stop.fd], [], [], seconds)[0]
        while ready and self._stop.fd not in ready:
            events = self._inotify.read(timeout=0)
            if not events or any(event.name in self._names for event in events):
                return
            ready = select.select([self._inotify, self._stop.fd], [], [], seconds)[0]

    def close(self) -> None:
        """Stop watching."""
        if self._inotify:
            self._inotify.close()


def _watch(folder: Path) -> Any:
    with contextlib.suppress(OSError, ImportError, AttributeError):
        import inotify_simple

        flags = inotify_simple.flags
        inotify = inotify_simple.INotify()
        inotify.add_watch(folder, flags.MODIFY | flags.CREATE | flags.MOVED_TO)
        return inotify
    return None
