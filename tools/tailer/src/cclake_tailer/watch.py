"""Watch directories with inotify, and detect where that does not work."""

# Names may hold any byte and are many: os.path keeps them, and costs less.
# ruff: noqa: PTH112, PTH114, PTH119, PTH120

import contextlib
import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from inotify_simple import INotify, flags

from cclake_tailer.discovery import HISTORY, Place, leads_out

CREATE, MODIFY, DELETE = int(flags.CREATE), int(flags.MODIFY), int(flags.DELETE)
MOVED_TO, MOVED_FROM = int(flags.MOVED_TO), int(flags.MOVED_FROM)
ISDIR, IGNORED, Q_OVERFLOW = int(flags.ISDIR), int(flags.IGNORED), int(flags.Q_OVERFLOW)
_MASK = CREATE | MODIFY | MOVED_TO | MOVED_FROM
MASK = _MASK | int(flags.CLOSE_WRITE) | DELETE | int(flags.ONLYDIR)
# A linked file gets a watch of its own, because its folder is not watched.
LINKED_MASK = (
    MODIFY
    | int(flags.CLOSE_WRITE)
    | int(flags.ATTRIB)
    | int(flags.MOVE_SELF)
    | int(flags.DELETE_SELF)
)
_HISTORY = os.path.basename(HISTORY)
_MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = {
    "9p", "afs", "ceph", "cifs", "fuse.sshfs", "fuse.rclone", "gfs2", "lustre",
    "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs",
}  # fmt: skip
_NO_MORE_WATCHES = (errno.ENOSPC, errno.ENOMEM)


@dataclass
class Changes:
    """The changes that inotify reported.

    Attributes:
        places: Names that may be files that changed.
        open: Names of files that somebody may still be writing to.
        deleted: Those of `places` that were deleted.
        directories: Names that may be new directories.
        left: Directories that were moved away.
        came: Directories that were created or moved here.
        rescan: Whether a full scan is needed, because events or a watch were lost.
        overflows: Number of times that the kernel dropped events.
        events: Number of events.
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
        """Add later changes."""
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
    """Watch directories, each at one place.

    Raises:
        OSError: The kernel has no inotify, or no instance left.
    """

    def __init__(self) -> None:
        self._inotify = INotify()
        self._places: dict[int, Place] = {}
        self._wds: dict[Place, int] = {}
        self._roots_in: dict[int, list[str]] = {}
        self._linked: dict[int, set[Place]] = {}
        self.full = False

    @property
    def fd(self) -> int:
        """Return a descriptor that is readable when there are events."""
        return int(self._inotify.fileno())

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: Place) -> None:
        """Watch a directory; set `full` if the kernel refuses another watch.

        Raises:
            OSError: The directory is missing or may not be read.
        """
        wd = self._add(place.full)
        if wd is not None:
            self._wds.pop(self._places.get(wd, place), None)
            self._places[wd] = place
            self._wds[place] = wd

    def add_linked(self, place: Place) -> None:
        """Watch the file that a link points to."""
        with contextlib.suppress(OSError):
            wd = self._add(os.path.realpath(place.full), LINKED_MASK)
            if wd is not None:
                self._linked.setdefault(wd, set()).add(place)

    def add_parent(self, root: str) -> None:
        """Watch the parent folder of a root for the root itself and the history.

        Raises:
            OSError: The folder is missing or may not be read.
        """
        wd = self._add(os.path.dirname(root))
        if wd is not None and root not in self._roots_in.setdefault(wd, []):
            self._roots_in[wd].append(root)

    def read(self) -> Changes:
        """Return all waiting events without blocking."""
        changes = Changes()
        while events := self._inotify.read(timeout=0):
            changes.events += len(events)
            for event in events:
                self._note(changes, event.wd, event.mask, event.name)
        return changes

    def close(self) -> None:
        """Remove all watches."""
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
            self._roots_in.pop(wd, None)
            directory = self._places.pop(wd, None)
            if directory is not None and self._wds.pop(directory, None) is not None:
                changes.directories.add(directory)
            return
        if not name:
            return
        for root in self._roots_in.get(wd, ()):
            if name == os.path.basename(root) and mask & (CREATE | MOVED_TO):
                changes.directories.add(Place(root, ""))
            elif name == os.path.basename(root) and mask & MOVED_FROM:
                self._forget(Place(root, ""))
        if name == _HISTORY and wd in self._roots_in:
            history = Place(self._roots_in[wd][0], HISTORY)
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
                # The kernel may have removed the watch already.
                with contextlib.suppress(OSError):
                    self._inotify.rm_watch(wd)


def network_type(path: str, mountinfo: Path = _MOUNTINFO) -> str | None:
    """Return the type of the network file system of a path; None for a local one.

    On a network file system, inotify reports only the writes of this machine.
    """
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return None
    best, kind = "", ""
    real = os.path.realpath(path)
    for line in filter(None, lines):
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode("utf-8", "surrogateescape")
        mount = os.fsdecode(point.decode("unicode_escape").encode("latin-1"))
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, right.split(" ")[0]
    return kind if kind in _NETWORK else None
