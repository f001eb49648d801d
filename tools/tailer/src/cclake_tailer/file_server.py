"""Turn places that changed into a queue of files, and read those in turn."""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from cclake_tailer.compare import REST, Comparer
from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Found, Place, is_folder, is_source
from cclake_tailer.file_watcher import FileWatcher, Replaced
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.registry import Inode, Registry, inode_of
from cclake_tailer.renames import Renames

_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_NOT_OURS = (errno.ELOOP, errno.EINVAL, errno.ENXIO)
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


class FileServer:
    """Match found files to known ones, and read them in turn."""

    def __init__(
        self,
        registry: Registry,
        reader: Reader,
        counters: Counters,
        compare_after: float = REST,
    ) -> None:
        self.registry = registry
        self.comparer = Comparer(registry, reader, counters, compare_after)
        self.watcher = FileWatcher(registry, reader, counters, self.comparer)
        self._reader = reader
        self.counters = counters
        self.recheck: set[Place] = set()  # to look at again without delay
        self.refused: dict[Place, str] = {}  # could not be read, with the reason
        self._suspects: dict[Place, Inode] = {}
        self._queue: deque[Found] = deque()
        self._queued: set[Place] = set()

    @property
    def has_suspects(self) -> bool:
        """Return whether found files may have taken the places of renamed ones."""
        return bool(self._suspects)

    @property
    def pending(self) -> bool:
        """Return whether files wait to be read."""
        return bool(self._queue)

    def backlog_bytes(self) -> int:
        """Return how many bytes of queued files wait to be read."""
        total = 0
        for item in self._queue:
            known = self.registry.at(item.place)
            total += max(0, item.stat.st_size - (known.off if known else 0))
        return total

    def look(
        self, places: Iterable[Place], found: Iterable[Found] = (), first: bool = False
    ) -> set[Place]:
        """Look at places that may have changed, and queue files with new content.

        Args:
            places: Where to look.
            found: Files that a walk has just found.
            first: Put them at the front of the queue.

        Returns:
            The places of files that this call queued or marked as gone.
        """
        all_found = list(found)
        absent: list[Place] = []
        for place in places:
            try:
                info = os.stat(place.full)  # noqa: PTH116
            except OSError as error:
                if error.errno in _ABSENT:
                    absent.append(place)
                else:
                    self.note_error(place, error)
                continue
            ours = is_source(place.path) or self.registry.at(place) is not None
            if stat.S_ISREG(info.st_mode) and ours:
                all_found.append(Found(place, info))
        return self._resolve(all_found, first) | self._mark_gone(absent)

    def is_settled(self, item: Found) -> bool:
        """Return whether a found file is known, at its place, and unchanged."""
        known = self.registry.at(item.place)
        owner = self.registry.with_inode(inode_of(item.stat))
        if known is None or owner is not known or self._has_news(known, item):
            return False
        self._suspects.pop(item.place, None)
        return True

    def check_unseen(self, seen: set[Place]) -> set[Place]:
        """Look for known files that a walk over all roots did not find."""
        roots = set(self.registry.roots)
        live = [known for known in self.registry if known.state == "live"]
        for known in live:
            if not self.registry.holds(known):  # displaced just before a crash
                self.watcher.mark_gone(known)
        places = {self.registry.place_of(known) for known in live}
        return self.look({place for place in places if place.root in roots} - seen)

    def awaits(self, place: Place) -> bool:
        """Return whether a place waits to be looked at or read."""
        return place in self._queued or place in self.recheck or place in self.refused

    def step(self) -> Place | None:
        """Read the first file in the queue, up to the size of one turn.

        Returns:
            Its place; None if it could not be read.
        """
        item = self._queue.popleft()
        self._queued.discard(item.place)
        known = self.registry.at(item.place)
        if known is None:
            return None
        try:
            more = self.watcher.read(known, item)
        except Replaced:
            self.recheck.add(item.place)
        except OSError as error:
            self.note_error(item.place, error)
        else:
            self.refused.pop(item.place, None)
            if more:
                self._enqueue(item, first=False)
            return item.place
        return None

    def compare(self) -> None:
        """Compare a slice of a file that may have been edited; queue it if it was."""
        edited = self.comparer.step()
        known = self.registry.at(edited.place) if edited is not None else None
        if edited is not None and known is not None:
            self.watcher.unsent.add(known.file)
            self._enqueue(edited, first=True)

    def read_deleted(self, place: Place, fd: int) -> None:
        """Read a deleted file through the descriptor that the event buffer kept."""
        item = Found(place, os.fstat(fd))
        known = self.registry.with_inode(inode_of(item.stat))
        former = self.registry.at(place)
        if known is None and former is not None:
            # It was created and deleted between two looks: one more generation of the
            # file that is known at this place.
            self.watcher.read_replaced(former, fd, last=_is_absent(place.full))
            return
        if known is None:
            known = self.registry.create(item)
        self.watcher.read_deleted(known, fd)
        if _is_absent(self.registry.place_of(known).full):
            self.watcher.mark_gone(known)

    def note_error(self, place: Place, error: OSError) -> None:
        """Record that a place could not be read; its file is not taken for deleted."""
        if error.errno in _ABSENT:
            self.recheck.add(place)
        elif error.errno not in _NOT_OURS:
            if error.errno in _TOO_MANY:
                self.watcher.open_files.release_all()
            self.refused[place] = error.strerror or str(error)

    def _enqueue(self, item: Found, first: bool) -> bool:
        if item.place in self._queued:
            return False
        self._queue.insert(0 if first else len(self._queue), item)
        self._queued.add(item.place)
        return True

    def _resolve(self, found: list[Found], first: bool) -> set[Place]:
        renames = Renames(self.registry, self._reader, self.counters)
        renames.resolve(found)
        self.watcher.unsent.update(known.file for known in renames.moved)
        for known in renames.displaced:
            self.watcher.mark_gone(known)
        for place, error in renames.undecided.items():
            self.note_error(place, error)
        changed = set()
        for item in found:
            if item.place in renames.undecided:
                continue
            as_known = self._identify(item, renames)
            if as_known is None:
                continue
            if as_known is not item:
                changed |= self._mark_gone((item.place,))
            at_place = self.registry.at(as_known.place)
            assert at_place is not None
            news = self._has_news(at_place, as_known)
            if (
                news
                and self._enqueue(as_known, first)
                and as_known.place not in self.refused
            ):
                changed.add(as_known.place)
        return changed

    def _identify(self, item: Found, renames: Renames) -> Found | None:
        """Return the file at the place it is known by; None to look again later."""
        suspect = self._suspects.pop(item.place, None)
        known = self.registry.at(item.place)
        inode = inode_of(item.stat)
        if known is not None and self.registry.with_inode(inode) is known:
            return item
        alias = renames.alias(item)
        if alias is not None:
            return alias
        if known is None:
            self.watcher.unsent.add(self.registry.create(item).file)
        elif suspect != inode and (known.dev, known.ino) != inode:
            # The file that was here may have moved to a place that was not looked at
            # yet. It must be found before another file gets its place: look twice.
            self._suspects[item.place] = inode
            self.recheck.add(item.place)
            return None
        return item

    def _mark_gone(self, places: Iterable[Place]) -> set[Place]:
        """Mark as gone the files that are no longer at their places."""
        gone = set()
        for place in places:
            known = self.registry.at(place)
            self.refused.pop(place, None)
            self._suspects.pop(place, None)
            # A missing root was unmounted, not emptied.
            if known and known.state == "live" and is_folder(known.root):
                self.watcher.mark_gone(known)
                gone.add(place)
        return gone

    def _has_news(self, known: Checkpoint, item: Found) -> bool:
        same = (known.dev, known.ino) == inode_of(item.stat) and known.state == "live"
        quiet = (
            known.size == item.stat.st_size and known.mtime_ns == item.stat.st_mtime_ns
        )
        if same and quiet and not known.ctime_ns:  # an old checkpoint has no ctime
            known.ctime_ns = item.stat.st_ctime_ns
        quiet = quiet and known.ctime_ns == item.stat.st_ctime_ns
        sent = known.file not in self.watcher.unsent
        read = known.off == known.size or known.file in self.watcher.open_files
        return not (same and quiet and sent and read)


def _is_absent(path: str) -> bool:
    """Return whether a path does not exist; False if that is unknown."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno in _ABSENT
    return False
