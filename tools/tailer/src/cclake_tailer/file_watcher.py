"""Open a known file, check that it is still the same file, and read what is new."""

import os
import time

from cclake_tailer.compare import Comparer
from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Found
from cclake_tailer.fd_cache import FdCache
from cclake_tailer.fingerprint import handle_of, open_regular
from cclake_tailer.reader import Reader
from cclake_tailer.records import Checkpoint
from cclake_tailer.registry import Registry, inode_of

TURN = 4 << 20


class Replaced(Exception):
    """The file at the place is not the one that was found there."""


class FileWatcher:
    """Read known files; keep a file open while bytes of it are unread.

    Args:
        registry: All known files.
        reader: Reads one open file.
        counters: The totals to update.
        comparer: Gets the state of every file that is read.
    """

    def __init__(
        self, registry: Registry, reader: Reader, counters: Counters, comparer: Comparer
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._counters = counters
        self._comparer = comparer
        self.open_files: FdCache[str] = FdCache()
        self.unsent: set[str] = set()  # keys whose checkpoint must be sent
        # When files were kept open that may get complete by waiting (time.monotonic).
        self._waiting: dict[str, float] = {}

    @property
    def waiting(self) -> bool:
        """Return whether `finish_idle` has something to do."""
        return bool(self._waiting)

    def read(self, known: Checkpoint, item: Found) -> bool:
        """Read a file, up to the size of one turn.

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

    def mark_gone(self, known: Checkpoint) -> None:
        """Read the rest of a file that left its place, and send that it is gone."""
        fd = self.open_files.take(known.file)
        if fd is not None:
            self._read_out(fd, known, finish=False)
            self._hold(known, fd)
        known.state, known.gone_at = "gone", time.time()
        self.unsent.discard(known.file)
        self._reader.checkpoint(known)

    def read_deleted(self, known: Checkpoint, fd: int) -> None:
        """Read to its end a file that was opened before its deletion; close it."""
        before = known.off
        try:
            self._read(fd, known)
            if (
                before
                and known.unchecked
                and not self._comparer.is_unchanged(fd, known)
            ):
                self._counters.truncations_total += 1
                self._comparer.forget(known)
                self._reader.restart(known)
            self._read_out(fd, known, finish=True)
        except OSError:
            self._counters.files_missed_total += 1
        finally:
            os.close(fd)

    def read_replaced(self, known: Checkpoint, fd: int, last: bool) -> None:
        """Read a deleted file that was at the place of a known one; close it.

        Args:
            known: The known file. It keeps its inode, by which it is found if it moved.
            fd: The deleted file.
            last: Whether no other file has taken the place since.
        """
        try:
            if not self._reader.matches(fd, known):
                self._reader.restart(known)
            self._read_out(fd, known, finish=last)
        except OSError:
            self._counters.files_missed_total += 1
        finally:
            os.close(fd)

    def finish_idle(self, seconds: float) -> None:
        """Finish the open files that have been idle for some seconds."""
        now = time.time()
        for key, since in list(self._waiting.items()):
            if key not in self.open_files:
                del self._waiting[key]
                continue
            known = self._registry.with_key(key)
            fd = self.open_files.take(key)
            assert fd is not None
            info = os.fstat(fd)
            quiet_s = now - info.st_mtime
            if quiet_s < 0:  # the clock was set back, or the time stamp is wrong
                quiet_s = time.monotonic() - since
            rested = quiet_s >= seconds
            if rested or info.st_nlink == 0:
                self._read_out(fd, known, finish=rested)
            if rested and (known.state == "gone" or known.off >= known.size):
                os.close(fd)
            else:
                self.open_files.put(key, fd)
            if rested:
                # A torn line stays open: only an event can bring more of it now.
                del self._waiting[key]

    def _hold(self, known: Checkpoint, fd: int) -> None:
        self.open_files.put(known.file, fd)
        self._waiting[known.file] = time.monotonic()

    def _open(self, known: Checkpoint, item: Found) -> int:
        old = self.open_files.take(known.file)
        if old is not None and inode_of(os.fstat(old)) == inode_of(item.stat):
            return old
        try:
            fd = open_regular(item.place.full)
            self._counters.files_opened_total += 1
            if not self._is_found_file(fd, known, item):
                os.close(fd)
                raise Replaced
        except (OSError, Replaced):
            if old is not None:
                self._hold(known, old)
            raise
        if old is not None:
            self._switch(old, fd, known)
        return fd

    def _is_found_file(self, fd: int, known: Checkpoint, item: Found) -> bool:
        inode = inode_of(os.fstat(fd))
        owner = self._registry.with_inode(inode)
        if inode != inode_of(item.stat):
            return False
        # The handle reveals a known file that moved here after it was looked for.
        other = owner.handle if owner is not None and owner is not known else None
        return other is None or other != handle_of(fd)

    def _switch(self, old: int, fd: int, known: Checkpoint) -> None:
        """Read the rest of the old file before the new one at its place."""
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
        tell = known.file in self.unsent
        self.unsent.discard(known.file)
        if not self._reader.matches(fd, known):
            self._counters.truncations_total += not other
            self._comparer.forget(known)
            self._reader.restart(known)
            tell = True
        if other or known.handle != handle or known.state == "gone":
            self._counters.replaced_total += other
            self._registry.set_inode(known, inode_of(info))
            known.handle, known.state, known.gone_at = handle, "live", None
            tell = True
        before = known.off
        self._comparer.note_state(known, info, other)
        more = self._reader.read(fd, known, TURN)
        self._catch_up(fd, known, info)
        if known.off == before and (tell or known.off == known.size):
            self._reader.checkpoint(known)
        return more

    def _catch_up(self, fd: int, known: Checkpoint, before: os.stat_result) -> None:
        """Record the state of a file that grew while it was read.

        Otherwise the changed state would be taken for an edit the next time.
        """
        if known.off > before.st_size:
            self._comparer.note_state(known, os.fstat(fd), grown=True)

    def _read_out(self, fd: int, known: Checkpoint, finish: bool) -> None:
        """Read the rest of an open file, whatever is at its place now."""
        try:
            if not self._reader.matches(fd, known):
                return
            info = os.fstat(fd)
            self._comparer.note_state(known, info)
            while self._reader.read(fd, known, TURN):
                pass
            self._catch_up(fd, known, info)
            if finish:
                self._reader.finish(fd, known, closed=info.st_nlink == 0)
        except OSError:
            # Nobody can open a deleted file again: its unread bytes are lost.
            self._counters.files_missed_total += os.fstat(fd).st_nlink == 0
