"""Drain inotify events while the output pipe is full."""

import contextlib
import os

from cclake_tailer.discovery import Found, Place, Walker, is_source
from cclake_tailer.fd_cache import FdCache
from cclake_tailer.fingerprint import open_regular
from cclake_tailer.watch import Changes, Watch


class EventBuffer:
    """Take events off the kernel's queue and open the files that they name.

    A file that is deleted before its turn can still be read through its descriptor.
    """

    def __init__(self, watch: Watch, walker: Walker) -> None:
        self._watch = watch
        self._walker = walker
        self._changes = Changes()
        self._found: list[Found] = []
        self._open_files: FdCache[Place] = FdCache()

    def drain(self) -> None:
        """Store all waiting events; no file is read and nothing is written."""
        changes = self._watch.read()
        found = self._walk(changes)
        self._changes.update(changes)
        self._found.extend(found)
        for place in changes.places | changes.open | {item.place for item in found}:
            if is_source(place.path, self._walker.side_files):
                self._keep_open(place)

    def take(self) -> tuple[Changes, list[Found], list[tuple[Place, int]]]:
        """Take the stored events and those that wait now.

        Returns:
            The changes, the files found in new directories, and the open files that
            were deleted since then; the caller closes them.
        """
        changes = self._changes
        latest = self._watch.read()
        found = self._found + self._walk(latest)
        changes.update(latest)
        self._changes, self._found = Changes(), []
        deleted = []
        for place in self._open_files.keys:
            fd = self._open_files.take(place)
            assert fd is not None
            if os.fstat(fd).st_nlink == 0:
                deleted.append((place, fd))
            else:
                os.close(fd)
        return changes, found, deleted

    def _walk(self, changes: Changes) -> list[Found]:
        places = sorted(changes.directories)
        return [item for place in places for item in self._walker.walk(place)]

    def _keep_open(self, place: Place) -> None:
        if place not in self._open_files:
            with contextlib.suppress(OSError):
                self._open_files.put(place, open_regular(place.full))
