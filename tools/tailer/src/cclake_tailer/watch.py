"""inotify on directories: which places changed, and where the kernel lost count."""

# Names may hold any byte and are many: os.path keeps them, and costs less.
# ruff: noqa: PTH112, PTH114, PTH119, PTH120

import contextlib
import errno
import os
from dataclasses import dataclass, field

from inotify_simple import INotify, flags

from cclake_tailer.tree import HISTORY, Place, leads_out

CREATE, MODIFY, DELETE = int(flags.CREATE), int(flags.MODIFY), int(flags.DELETE)
MOVED_TO, MOVED_FROM = int(flags.MOVED_TO), int(flags.MOVED_FROM)
ISDIR, IGNORED, Q_OVERFLOW = int(flags.ISDIR), int(flags.IGNORED), int(flags.Q_OVERFLOW)
_MASK = CREATE | MODIFY | MOVED_TO | MOVED_FROM
MASK = _MASK | int(flags.CLOSE_WRITE) | DELETE | int(flags.ONLYDIR)
# A linked file gets its own watch, since its folder is not watched.
LINKED_MASK = (
    MODIFY
    | int(flags.CLOSE_WRITE)
    | int(flags.ATTRIB)
    | int(flags.MOVE_SELF)
    | int(flags.DELETE_SELF)
)
_HISTORY = os.path.basename(HISTORY)
_NO_MORE_WATCHES = (errno.ENOSPC, errno.ENOMEM)


@dataclass
class Changes:
    """What one reading of the events says.

    Attributes:
        places: Names that may be files that changed.
        open: Names of files that somebody may still be writing to.
        deleted: Those of `places` that were deleted.
        directories: Names that may be new directories.
        left: Directories that were moved away.
        came: Directories that were created or moved here.
        rescan: Why everything must be looked at: events were lost, or a watch was.
        events: How many events there were.
    """

    places: set[Place] = field(default_factory=set)
    open: set[Place] = field(default_factory=set)
    deleted: set[Place] = field(default_factory=set)
    directories: set[Place] = field(default_factory=set)
    left: set[Place] = field(default_factory=set)
    came: set[Place] = field(default_factory=set)
    rescan: bool = False
    overflows: int = 0
    events: int = 0

    def update(self, later: "Changes") -> None:
        """Add what a later reading says."""
        self.places |= later.places
        self.open |= later.open
        self.deleted |= later.deleted
        self.directories |= later.directories
        self.left |= later.left
        self.came |= later.came
        self.rescan |= later.rescan
        self.overflows += later.overflows
        self.events += later.events


class Watch:
    """Watches directories; one place per directory.

    Raises:
        OSError: The kernel has no inotify, or no more instances.
    """

    def __init__(self) -> None:
        self._inotify = INotify()
        self._places: dict[int, Place] = {}
        self._wds: dict[Place, int] = {}
        self._beside: dict[int, list[str]] = {}
        self._linked: dict[int, set[Place]] = {}
        self.full = False

    @property
    def fd(self) -> int:
        """Readable when there are events."""
        return int(self._inotify.fileno())

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: Place) -> None:
        """Watch a directory; sets `full` where the kernel allows no more watches.

        Raises:
            OSError: The directory is not there or may not be read.
        """
        wd = self._add(place.full)
        if wd is not None:
            self._wds.pop(self._places.get(wd, place), None)
            self._places[wd] = place
            self._wds[place] = wd

    def add_linked(self, place: Place) -> None:
        """Watch the file that a link leads to."""
        with contextlib.suppress(OSError):
            wd = self._add(os.path.realpath(place.full), LINKED_MASK)
            if wd is not None:
                self._linked.setdefault(wd, set()).add(place)

    def add_beside(self, root: str) -> None:
        """Watch the folder of a root for its coming and for the history.

        Raises:
            OSError: The directory is not there or may not be read.
        """
        wd = self._add(os.path.dirname(root))
        if wd is not None and root not in self._beside.setdefault(wd, []):
            self._beside[wd].append(root)

    def read(self) -> Changes:
        """All events that wait; never blocks."""
        changes = Changes()
        while events := self._inotify.read(timeout=0):
            changes.events += len(events)
            for event in events:
                self._note(changes, event.wd, event.mask, event.name)
        return changes

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def _add(self, path: str, mask: int = MASK) -> int | None:
        try:
            return int(self._inotify.add_watch(path, mask))
        except OSError as error:
            if error.errno not in _NO_MORE_WATCHES:
                raise
            self.full = True
            return None

    def _note(self, changes: Changes, wd: int, mask: int, name: str) -> None:
        if mask & Q_OVERFLOW:
            changes.rescan = True
            changes.overflows += 1
            return
        if wd in self._linked:
            (changes.open if mask & MODIFY else changes.places).update(self._linked[wd])
        if mask & IGNORED:
            self._linked.pop(wd, None)
            self._beside.pop(wd, None)
            directory = self._places.pop(wd, None)
            if directory is not None and self._wds.pop(directory, None) is not None:
                changes.directories.add(directory)
            return
        if not name:
            return
        for root in self._beside.get(wd, ()):
            if name == os.path.basename(root) and mask & (CREATE | MOVED_TO):
                changes.directories.add(Place(root, ""))
            elif name == os.path.basename(root) and mask & MOVED_FROM:
                self._forget(Place(root, ""))
        if name == _HISTORY and wd in self._beside:
            history = Place(self._beside[wd][0], HISTORY)
            changes.places.add(history)
            if mask & (CREATE | MOVED_TO) and os.path.islink(history.full):
                self.add_linked(history)
        directory = self._places.get(wd)
        if directory is not None:
            self._note_child(changes, directory.child(name), mask)

    def _note_child(self, changes: Changes, place: Place, mask: int) -> None:
        came = mask & (CREATE | MOVED_TO)
        if mask & ISDIR:
            if mask & MOVED_FROM:
                self._forget(place)
                changes.left.add(place)
            elif came:
                changes.directories.add(place)
                changes.came.add(place)
            return
        (changes.open if mask & (CREATE | MODIFY) else changes.places).add(place)
        if mask & DELETE:
            changes.deleted.add(place)
        if came and os.path.islink(place.full):
            if os.path.isdir(place.full):
                changes.directories.add(place)
            elif leads_out(place):
                self.add_linked(place)

    def _forget(self, gone: Place) -> None:
        """Stop watching a directory that was moved away, and all below it."""
        for place, wd in list(self._wds.items()):
            if gone.holds(place):
                del self._wds[place], self._places[wd]
                # The kernel may have dropped it already.
                with contextlib.suppress(OSError):
                    self._inotify.rm_watch(wd)
