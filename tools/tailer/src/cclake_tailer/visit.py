"""One file at a time: open it, tell whether it is still itself, read what is new."""

import os
import time

from cclake_tailer.catalog import Catalog, inode_of
from cclake_tailer.compare import Comparer
from cclake_tailer.counters import Counters
from cclake_tailer.held import Held
from cclake_tailer.identity import handle_of, open_regular
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.tree import Found

TURN = 4 << 20


class Replaced(Exception):
    """Another file is at the place than the one that was found there."""


class Visitor:
    """Reads known files; a file with unread bytes is held open.

    Args:
        catalog: All known files.
        reader: Reads one open file.
        counters: What is counted.
        comparer: Gets every look of a file.
    """

    def __init__(
        self, catalog: Catalog, reader: Reader, counters: Counters, comparer: Comparer
    ) -> None:
        self._catalog = catalog
        self._reader = reader
        self._counters = counters
        self._comparer = comparer
        self.held: Held[str] = Held()
        self.untold: set[str] = set()  # keys whose checkpoint must be sent
        # Held, and time may bring something; since when (time.monotonic).
        self._waiting: dict[str, float] = {}

    @property
    def waiting(self) -> bool:
        """Whether `rest` has something to do."""
        return bool(self._waiting)

    def visit(self, known: Checkpoint, item: Found) -> bool:
        """Read one turn of a file.

        Returns:
            Whether there may be more to read now.

        Raises:
            OSError: The file can't be opened.
            Replaced: It is not the file that was found.
        """
        fd = self._open(known, item)
        try:
            more = self._read(fd, known)
        except BaseException:
            os.close(fd)
            raise
        if more or known.off < known.size:
            self._hold(known, fd)
        else:
            os.close(fd)
        return more

    def leave(self, known: Checkpoint) -> None:
        """A file is no longer at its place: read what is held of it, and say so."""
        fd = self.held.take(known.file)
        if fd is not None:
            self._read_out(fd, known, finish=False)
            self._hold(known, fd)
        known.state, known.gone_at = "gone", time.time()
        self.untold.discard(known.file)
        self._reader.checkpoint(known)

    def rescue(self, known: Checkpoint, fd: int) -> None:
        """Read a file to its end that was opened before it was deleted; closes it."""
        before = known.off
        try:
            self._read(fd, known)
            if before and known.unchecked and not self._comparer.holds(fd, known):
                self._counters.truncations_total += 1
                self._comparer.forget(known)
                self._reader.restart(known)
            self._read_out(fd, known, finish=True)
        except OSError:
            self._counters.files_missed_total += 1
        finally:
            os.close(fd)

    def read_passing(self, known: Checkpoint, fd: int, last: bool) -> None:
        """Read a deleted file that was at the place of a known one; closes it.

        Args:
            known: It keeps its inode: it may have moved, and be found again by it.
            fd: The deleted file.
            last: Nothing came after it.
        """
        try:
            if not self._reader.matches(fd, known):
                self._reader.restart(known)
            self._read_out(fd, known, finish=last)
        except OSError:
            self._counters.files_missed_total += 1
        finally:
            os.close(fd)

    def rest(self, seconds: float) -> None:
        """Finish the held files that nobody has written to for so long."""
        now = time.time()
        for key, since in list(self._waiting.items()):
            if key not in self.held:
                del self._waiting[key]
                continue
            known = self._catalog.with_key(key)
            fd = self.held.take(key)
            assert fd is not None
            info = os.fstat(fd)
            quiet_s = now - info.st_mtime
            if quiet_s < 0:  # the clock went back, or the time stamp is made up
                quiet_s = time.monotonic() - since
            rested = quiet_s >= seconds
            if rested or info.st_nlink == 0:
                self._read_out(fd, known, finish=rested)
            if rested and (known.state == "gone" or known.off >= known.size):
                os.close(fd)
            else:
                self.held.put(key, fd)
            if rested:
                # A torn line stays: only an event can bring something new now.
                del self._waiting[key]

    def _hold(self, known: Checkpoint, fd: int) -> None:
        self.held.put(known.file, fd)
        self._waiting[known.file] = time.monotonic()

    def _open(self, known: Checkpoint, item: Found) -> int:
        old = self.held.take(known.file)
        if old is not None and inode_of(os.fstat(old)) == inode_of(item.stat):
            return old
        try:
            fd = open_regular(item.place.full)
            self._counters.files_opened_total += 1
            if not self._is_what_was_found(fd, known, item):
                os.close(fd)
                raise Replaced
        except (OSError, Replaced):
            if old is not None:
                self._hold(known, old)
            raise
        if old is not None:
            self._outlive(old, fd, known)
        return fd

    def _is_what_was_found(self, fd: int, known: Checkpoint, item: Found) -> bool:
        inode = inode_of(os.fstat(fd))
        owner = self._catalog.with_inode(inode)
        if inode != inode_of(item.stat):
            return False
        # The handle tells of a known file that has come here since it was looked for.
        other = owner.handle if owner is not None and owner is not known else None
        return other is None or other != handle_of(fd)

    def _outlive(self, old: int, fd: int, known: Checkpoint) -> None:
        """Another file has the place: what is unread of the old one comes first."""
        self._read_out(old, known, finish=False)
        if not self._reader.matches(fd, known):
            deleted = os.fstat(old).st_nlink == 0
            self._read_out(old, known, finish=deleted)
        os.close(old)

    def _read(self, fd: int, known: Checkpoint) -> bool:
        info = os.fstat(fd)
        handle = handle_of(fd)
        other = inode_of(info) != (known.dev, known.ino) or (
            known.handle is not None and handle != known.handle
        )
        tell = known.file in self.untold
        self.untold.discard(known.file)
        if not self._reader.matches(fd, known):
            self._counters.truncations_total += not other
            self._comparer.forget(known)
            self._reader.restart(known)
            tell = True
        if other or known.handle != handle or known.state == "gone":
            self._counters.replaced_total += other
            self._catalog.set_inode(known, inode_of(info))
            known.handle, known.state, known.gone_at = handle, "live", None
            tell = True
        before = known.off
        self._comparer.look(known, info, other)
        more = self._reader.read(fd, known, TURN)
        self._catch_up(fd, known, info)
        if known.off == before and (tell or known.off == known.size):
            self._reader.checkpoint(known)
        return more

    def _catch_up(self, fd: int, known: Checkpoint, before: os.stat_result) -> None:
        """Look again at a file that grew while it was read.

        Otherwise its changed state would be taken for an edit the next time.
        """
        if known.off > before.st_size:
            self._comparer.look(known, os.fstat(fd), grown=True)

    def _read_out(self, fd: int, known: Checkpoint, finish: bool) -> None:
        """Read all of an open file, whatever is at its place now."""
        try:
            if not self._reader.matches(fd, known):
                return
            info = os.fstat(fd)
            self._comparer.look(known, info)
            while self._reader.read(fd, known, TURN):
                pass
            self._catch_up(fd, known, info)
            if finish:
                self._reader.finish(fd, known, closed=info.st_nlink == 0)
        except OSError:
            # Of a deleted file this was the only way to read it.
            self._counters.files_missed_total += os.fstat(fd).st_nlink == 0
