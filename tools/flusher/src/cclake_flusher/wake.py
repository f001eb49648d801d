"""Sleep until the buffer changes."""

import contextlib
import select
import sys
from pathlib import Path
from typing import Any

from cclake_common.stop import Stop
from inotify_simple import INotify, flags

POLL_S = 0.2
FIRST_CHECK_S, LAST_CHECK_S = 0.0005, 0.3


class Wake:
    """Wait for changes with inotify on the buffer's folder, or by polling.

    The WAL changes at every commit, and may be deleted and created again. So this
    watches its folder, and ignores other names. SQLite writes the WAL, syncs it, and
    then publishes the commit in shared memory, which inotify does not report. So a
    change is followed by a few checks at growing intervals.
    """

    def __init__(self, path: Path, stop: Stop) -> None:
        self._names = {path.name, f"{path.name}-wal"}
        self._stop = stop
        self._inotify = _watch(path.absolute().parent)
        self._pause = FIRST_CHECK_S

    def drain(self) -> None:
        """Discard past changes; the caller checks the buffer after this."""
        if self._inotify:
            self._changed()

    def wait(self, seconds: float) -> None:
        """Wait for a change, the next check after one, a stop, or `seconds`."""
        if not self._inotify:
            select.select([self._stop.fd], [], [], min(seconds, POLL_S))
            return
        if self._pause < LAST_CHECK_S:
            seconds, self._pause = self._pause, self._pause * 2
        while self._is_ready(seconds) and not self._changed():
            pass

    def close(self) -> None:
        """Stop watching."""
        if self._inotify:
            self._inotify.close()

    def _is_ready(self, seconds: float) -> bool:
        ready = select.select([self._inotify, self._stop.fd], [], [], seconds)[0]
        return self._inotify in ready and self._stop.fd not in ready

    def _changed(self) -> bool:
        events = self._inotify.read(timeout=0)
        found = any(event.name in self._names for event in events)
        if found:
            self._pause = FIRST_CHECK_S
        return found


def _watch(folder: Path) -> Any:
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError):
        inotify = INotify()
        inotify.add_watch(folder, flags.MODIFY | flags.CREATE | flags.MOVED_TO)
        return inotify
    return None
