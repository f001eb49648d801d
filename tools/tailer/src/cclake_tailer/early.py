"""What happens while the reader of the records is slow is noticed all the same."""

import contextlib
import os

from cclake_tailer.held import Held
from cclake_tailer.identity import open_regular
from cclake_tailer.tree import Found, Place, Walker, is_source
from cclake_tailer.watch import Changes, Watch


class Early:
    """Takes events off the kernel's queue and opens the files that they name.

    A file that is deleted before its turn comes can be read through its descriptor.
    """

    def __init__(self, watch: Watch, walker: Walker) -> None:
        self._watch = watch
        self._walker = walker
        self._changes = Changes()
        self._found: list[Found] = []
        self._held: Held[Place] = Held()

    def notice(self) -> None:
        """Note all events that wait; nothing is read or written."""
        changes = self._watch.read()
        found = self._walk(changes)
        self._changes.update(changes)
        self._found.extend(found)
        for place in changes.places | changes.open | {item.place for item in found}:
            if is_source(place.path, self._walker.side_files):
                self._open(place)

    def take(self) -> tuple[Changes, list[Found], list[tuple[Place, int]]]:
        """All that was noted, and what waits now.

        Returns:
            The changes, the files found in new directories, and the open files that
            were deleted since; the caller closes them.
        """
        changes = self._changes
        latest = self._watch.read()
        found = self._found + self._walk(latest)
        changes.update(latest)
        self._changes, self._found = Changes(), []
        deleted = []
        for place in self._held.keys:
            fd = self._held.take(place)
            assert fd is not None
            if os.fstat(fd).st_nlink == 0:
                deleted.append((place, fd))
            else:
                os.close(fd)
        return changes, found, deleted

    def _walk(self, changes: Changes) -> list[Found]:
        places = sorted(changes.directories)
        return [item for place in places for item in self._walker.walk(place)]

    def _open(self, place: Place) -> None:
        if place not in self._held:
            with contextlib.suppress(OSError):
                self._held.put(place, open_regular(place.full))
