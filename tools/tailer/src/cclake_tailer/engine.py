"""From places where something happened to files that are read."""

import errno
import os
import stat
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from cclake_tailer.catalog import Catalog, inode_of
from cclake_tailer.counters import Counters
from cclake_tailer.held import Held
from cclake_tailer.identity import handle_of, open_regular
from cclake_tailer.moves import Moves
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.tree import Found, Place

TURN = 4 << 20
_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_NOT_OURS = (errno.ELOOP, errno.EINVAL, errno.ENXIO)


class Engine:
    """Decides which known file each found file is, and reads what is new in it."""

    def __init__(self, catalog: Catalog, reader: Reader, counters: Counters) -> None:
        self.catalog = catalog
        self.reader = reader
        self.counters = counters
        self.held = Held()
        self.again: set[Place] = set()  # to be looked at once more, at once
        self.later: set[Place] = set()  # could not be looked at now
        self._queue: deque[Found] = deque()
        self._queued: set[Place] = set()
        self._untold: set[str] = set()  # keys whose checkpoint must be sent

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
            The places of files that are queued or gone because of this look.
        """
        all_found = list(found)
        absent: list[Place] = []
        for place in places:
            try:
                info = os.lstat(place.full)
            except OSError as error:
                if error.errno in _ABSENT:
                    absent.append(place)
                else:
                    self.trouble(place, error)
                continue
            if stat.S_ISREG(info.st_mode):
                all_found.append(Found(place, info))
        return self._settle(all_found, first) | self._miss(absent)

    def _settle(self, found: list[Found], first: bool) -> set[Place]:
        moves = Moves(self.catalog, self.reader, self.counters)
        moves.settle(found)
        self._untold.update(known.file for known in moves.moved)
        for known in moves.displaced:
            self._gone(known)
        aliases = {item.place for item in moves.aliases}
        changed = self._miss(aliases)
        for item in found:
            if item.place not in aliases and self._has_news(item, moves):
                changed.add(item.place)
                if item.place not in self._queued:
                    self._queue.insert(0 if first else len(self._queue), item)
                    self._queued.add(item.place)
        return changed

    def _miss(self, places: Iterable[Place]) -> set[Place]:
        """Mark the files gone that are no longer at their places."""
        gone = set()
        for place in places:
            known = self.catalog.at(place)
            # A root that is not there was unmounted, not emptied.
            if known and known.state == "live" and Path(known.root).is_dir():
                self._gone(known)
                gone.add(place)
        return gone

    def miss_unseen(self, seen: set[Place]) -> set[Place]:
        """Look for the files that a walk over all roots did not come by."""
        live = [each for each in self.catalog if each.state == "live"]
        places = map(self.catalog.place_of, live)
        roots = set(self.catalog.roots)
        return self.look({each for each in places if each.root in roots} - seen)

    def step(self) -> None:
        """Read one turn of the first file in the queue."""
        item = self._queue.popleft()
        self._queued.discard(item.place)
        known = self.catalog.at(item.place)
        if known is None:
            return
        try:
            fd = self._open(known, item)
        except OSError as error:
            self.trouble(item.place, error)
            return
        if fd is None:
            self.again.add(item.place)
            return
        more = self._read(fd, known)
        if more:
            self._queue.append(item)
            self._queued.add(item.place)
        if more or known.off < known.size:
            self.held.put(known.file, fd)
        else:
            os.close(fd)

    def rest(self, seconds: float) -> None:
        """Finish the held files that nobody has written to for so long."""
        now = time.time()
        for key in self.held:
            known = self.catalog.with_key(key)
            fd = self.held.take(key)
            assert fd is not None
            info = os.fstat(fd)
            rested = now - info.st_mtime >= seconds
            if rested or info.st_nlink == 0:
                self._read_out(fd, known, finish=rested)
            if rested and (known.state == "gone" or known.off >= known.size):
                os.close(fd)
            else:
                self.held.put(key, fd)

    def trouble(self, place: Place, error: OSError) -> None:
        """Note that a place could not be looked at; that is no sign of deletion."""
        if error.errno in _ABSENT:
            self.again.add(place)
        elif error.errno not in _NOT_OURS:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.held.release_all()
            self.counters.reasons.add(f"cannot read: {error.strerror}")
            self.later.add(place)

    def _gone(self, known: Checkpoint) -> None:
        fd = self.held.take(known.file)
        if fd is not None:
            self._read_out(fd, known, finish=False)
            self.held.put(known.file, fd)
        known.state, known.gone_at = "gone", time.time()
        self.reader.checkpoint(known)

    def _open(self, known: Checkpoint, item: Found) -> int | None:
        """The file that was found, or None when another one is in its place now."""
        fd = self.held.take(known.file)
        if fd is not None:
            if inode_of(os.fstat(fd)) == inode_of(item.stat):
                return fd
            # Another file has its place; what is unread of it comes first.
            self._read_out(fd, known, finish=os.fstat(fd).st_nlink == 0)
            os.close(fd)
        fd = open_regular(item.place.full)
        self.counters.files_opened_total += 1
        if inode_of(os.fstat(fd)) == inode_of(item.stat):
            return fd
        os.close(fd)
        return None

    def _read(self, fd: int, known: Checkpoint) -> bool:
        info = os.fstat(fd)
        handle = handle_of(fd)
        other = inode_of(info) != (known.dev, known.ino) or (
            known.handle is not None and handle != known.handle
        )
        tell = known.file in self._untold
        self._untold.discard(known.file)
        if not self.reader.matches(fd, known):
            self.counters.truncations_total += not other
            self.reader.restart(known)
            tell = True
        if other or known.handle != handle or known.state == "gone":
            self.counters.replaced_total += other
            self.catalog.set_inode(known, inode_of(info))
            known.handle, known.state, known.gone_at = handle, "live", None
            tell = True
        before = known.off
        known.size, known.mtime_ns = info.st_size, info.st_mtime_ns
        more = self.reader.read(fd, known, TURN)
        if known.off == before and (tell or known.off == known.size):
            self.reader.checkpoint(known)
        return more

    def _read_out(self, fd: int, known: Checkpoint, finish: bool) -> None:
        """Read all of a file that is open, whatever is at its place now."""
        if not self.reader.matches(fd, known):
            return
        info = os.fstat(fd)
        known.size, known.mtime_ns = info.st_size, info.st_mtime_ns
        while self.reader.read(fd, known, TURN):
            pass
        if finish:
            self.reader.finish(fd, known, closed=info.st_nlink == 0)

    def _has_news(self, item: Found, moves: Moves) -> bool:
        known = self.catalog.at(item.place)
        if known is None:
            if moves.is_alias(item):
                return False
            known = self.catalog.create(item)
            self._untold.add(known.file)
        same = (known.dev, known.ino) == inode_of(item.stat) and known.state == "live"
        quiet = (
            known.size == item.stat.st_size and known.mtime_ns == item.stat.st_mtime_ns
        )
        told = known.file not in self._untold
        read = known.off == known.size or known.file in self.held
        return not (same and quiet and told and read)
