"""From places where something happened to a queue of files that are read."""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from cclake_tailer.catalog import Catalog, Inode, inode_of
from cclake_tailer.compare import REST, Comparer
from cclake_tailer.counters import Counters
from cclake_tailer.moves import Moves
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.tree import Found, Place, is_folder, is_source
from cclake_tailer.visit import Replaced, Visitor

_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_NOT_OURS = (errno.ELOOP, errno.EINVAL, errno.ENXIO)
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


class Engine:
    """Decides which known file each found file is, and reads them in turn."""

    def __init__(
        self,
        catalog: Catalog,
        reader: Reader,
        counters: Counters,
        compare_after: float = REST,
    ) -> None:
        self.catalog = catalog
        self.comparer = Comparer(catalog, reader, counters, compare_after)
        self.visitor = Visitor(catalog, reader, counters, self.comparer)
        self._reader = reader
        self.counters = counters
        self.again: set[Place] = set()  # to be looked at once more, at once
        self.refused: dict[Place, str] = {}  # could not be looked at, and why
        self._suspects: dict[Place, Inode] = {}
        self._queue: deque[Found] = deque()
        self._queued: set[Place] = set()

    @property
    def suspicious(self) -> bool:
        """Whether files were found that may have taken the place of moved ones."""
        return bool(self._suspects)

    @property
    def pending(self) -> bool:
        """Whether files wait to be read."""
        return bool(self._queue)

    def behind(self) -> int:
        """Bytes that wait to be read in queued files."""
        total = 0
        for item in self._queue:
            known = self.catalog.at(item.place)
            total += max(0, item.stat.st_size - (known.off if known else 0))
        return total

    def look(
        self, places: Iterable[Place], found: Iterable[Found] = (), first: bool = False
    ) -> set[Place]:
        """Look at places where something may have happened, and queue what is new.

        Args:
            places: Where to look.
            found: Files that were just found anyway.
            first: Read them before all that is queued.

        Returns:
            The places of files that are newly queued or gone because of this look.
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
                    self.trouble(place, error)
                continue
            ours = is_source(place.path) or self.catalog.at(place) is not None
            if stat.S_ISREG(info.st_mode) and ours:
                all_found.append(Found(place, info))
        return self._settle(all_found, first) | self._miss(absent)

    def is_settled(self, item: Found) -> bool:
        """Whether a found file is known, at its place, and has nothing new."""
        known = self.catalog.at(item.place)
        owner = self.catalog.with_inode(inode_of(item.stat))
        if known is None or owner is not known or self._has_news(known, item):
            return False
        self._suspects.pop(item.place, None)
        return True

    def miss_unseen(self, seen: set[Place]) -> set[Place]:
        """Look for the files that a walk over all roots did not come by."""
        roots = set(self.catalog.roots)
        live = [known for known in self.catalog if known.state == "live"]
        for known in live:
            if not self.catalog.holds(known):  # displaced, then killed
                self.visitor.leave(known)
        places = {self.catalog.place_of(known) for known in live}
        return self.look({place for place in places if place.root in roots} - seen)

    def awaits(self, place: Place) -> bool:
        """Return whether a place is still to be read or looked at."""
        return place in self._queued or place in self.again or place in self.refused

    def step(self) -> Place | None:
        """Read one turn of the first file in the queue.

        Returns:
            Its place; None if it could not be read.
        """
        item = self._queue.popleft()
        self._queued.discard(item.place)
        known = self.catalog.at(item.place)
        if known is None:
            return None
        try:
            more = self.visitor.visit(known, item)
        except Replaced:
            self.again.add(item.place)
        except OSError as error:
            self.trouble(item.place, error)
        else:
            self.refused.pop(item.place, None)
            if more:
                self._enqueue(item, first=False)
            return item.place
        return None

    def compare(self) -> None:
        """Compare a slice of a file that may have been edited; queue it if it was."""
        edited = self.comparer.step()
        known = self.catalog.at(edited.place) if edited is not None else None
        if edited is not None and known is not None:
            self.visitor.untold.add(known.file)
            self._enqueue(edited, first=True)

    def rescue(self, place: Place, fd: int) -> None:
        """Read a file that was opened early and is no longer at its place."""
        item = Found(place, os.fstat(fd))
        known = self.catalog.with_inode(inode_of(item.stat))
        former = self.catalog.at(place)
        if known is None and former is not None:
            # It came and went between two looks: a generation of what is known there.
            self.visitor.read_passing(former, fd, last=_is_absent(place.full))
            return
        if known is None:
            known = self.catalog.create(item)
        self.visitor.rescue(known, fd)
        if _is_absent(self.catalog.place_of(known).full):
            self.visitor.leave(known)

    def trouble(self, place: Place, error: OSError) -> None:
        """Note that a place could not be looked at; that is no sign of deletion."""
        if error.errno in _ABSENT:
            self.again.add(place)
        elif error.errno not in _NOT_OURS:
            if error.errno in _TOO_MANY:
                self.visitor.held.release_all()
            self.refused[place] = error.strerror or str(error)

    def _enqueue(self, item: Found, first: bool) -> bool:
        if item.place in self._queued:
            return False
        self._queue.insert(0 if first else len(self._queue), item)
        self._queued.add(item.place)
        return True

    def _settle(self, found: list[Found], first: bool) -> set[Place]:
        moves = Moves(self.catalog, self._reader, self.counters)
        moves.settle(found)
        self.visitor.untold.update(known.file for known in moves.moved)
        for known in moves.displaced:
            self.visitor.leave(known)
        for place, error in moves.unsure.items():
            self.trouble(place, error)
        changed = set()
        for item in found:
            if item.place in moves.unsure:
                continue
            as_known = self._identify(item, moves)
            if as_known is None:
                continue
            if as_known is not item:
                changed |= self._miss((item.place,))
            at_place = self.catalog.at(as_known.place)
            assert at_place is not None
            news = self._has_news(at_place, as_known)
            if (
                news
                and self._enqueue(as_known, first)
                and as_known.place not in self.refused
            ):
                changed.add(as_known.place)
        return changed

    def _identify(self, item: Found, moves: Moves) -> Found | None:
        """The file at the place that it is known by; None to look again later."""
        suspect = self._suspects.pop(item.place, None)
        known = self.catalog.at(item.place)
        inode = inode_of(item.stat)
        if known is not None and self.catalog.with_inode(inode) is known:
            return item
        alias = moves.alias(item)
        if alias is not None:
            return alias
        if known is None:
            self.visitor.untold.add(self.catalog.create(item).file)
        elif suspect != inode and (known.dev, known.ino) != inode:
            # The one that was here may have moved to where we did not look yet; it
            # must be found before its place is given to another. So look twice.
            self._suspects[item.place] = inode
            self.again.add(item.place)
            return None
        return item

    def _miss(self, places: Iterable[Place]) -> set[Place]:
        """Mark the files gone that are no longer at their places."""
        gone = set()
        for place in places:
            known = self.catalog.at(place)
            self.refused.pop(place, None)
            self._suspects.pop(place, None)
            # A root that is not there was unmounted, not emptied.
            if known and known.state == "live" and is_folder(known.root):
                self.visitor.leave(known)
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
        told = known.file not in self.visitor.untold
        read = known.off == known.size or known.file in self.visitor.held
        return not (same and quiet and told and read)


def _is_absent(path: str) -> bool:
    """Whether nothing is there; where that can't be told, no."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno in _ABSENT
    return False
