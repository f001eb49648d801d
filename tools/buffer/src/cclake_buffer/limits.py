"""Pause reading while the buffer is too large or the disk is too full."""

import contextlib
import os
import select
import shutil
import sqlite3
import sys
from pathlib import Path

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.stop import Stop

from cclake_buffer.store import Store

MB = 1 << 20
DEFAULT_CAP = 512 * MB
MIN_CAP = 64 * MB
DEFAULT_MIN_FREE = 256 * MB
RESERVE = 8 * MB
LOOK_EVERY_S = 0.2
SPARE_PAGES = 4 * MB
LARGE_WAL = 4 * MB


def default_cap(folder: Path) -> int:
    """Return 512 MB, or a tenth of the free space if that is less; at least 64 MB."""
    return max(MIN_CAP, min(DEFAULT_CAP, shutil.disk_usage(folder).free // 10))


class Limits:
    """Pause reading while the buffer or the disk is too full; drop nothing.

    Attributes:
        max_bytes: Maximum number of bytes in used pages of the buffer.
        min_free: Minimum number of free bytes on its disk.
    """

    def __init__(
        self, store: Store, max_bytes: int | None = None, min_free: int | None = None
    ) -> None:
        self._store = store
        self._folder = store.path.absolute().parent
        self.max_bytes = max_bytes or default_cap(self._folder)
        self.min_free = DEFAULT_MIN_FREE if min_free is None else min_free
        self._reserve = reserve_path(store.path)
        self.paused = ""
        self._say("")

    def _pages(self) -> tuple[int, int]:
        """Return the number of bytes in used pages, and in free pages."""
        execute = self._store.connection.execute
        size = execute("pragma page_size").fetchone()[0]
        pages = execute("pragma page_count").fetchone()[0]
        free = execute("pragma freelist_count").fetchone()[0]
        return (pages - free) * size, free * size

    def reason(self) -> str:
        """Return why reading must pause now: `cap`, `free`, or the empty string.

        Free pages within the file count as free space, because SQLite fills them first.
        """
        used, spare = self._pages()
        if used > self.max_bytes:
            return "cap"
        if shutil.disk_usage(self._folder).free + spare < self.min_free:
            return "free"
        return ""

    def wait_for_space(self, stop: Stop) -> None:
        """Wait until there is space again, or until the buffer is removed.

        Raises:
            Failure: The process was asked to stop while it waited.
        """
        while reason := self.reason():
            if reason != self.paused:
                self._say(reason)
            self.truncate_wal()
            if select.select([stop.fd], [], [], LOOK_EVERY_S)[0]:
                raise Failure("stopped while paused; nothing is lost", code=TRY_LATER)
            if self._store.is_moved():
                return
        if self.paused:
            self._say("")

    def _say(self, reason: str) -> None:
        self.paused = reason
        with contextlib.suppress(sqlite3.Error):
            self._store.set_meta("paused", reason or "no")
        if reason:
            what = "buffer at its limit" if reason == "cap" else "disk full"
            print(f"buffer: reading pauses: {what}; nothing is lost", file=sys.stderr)

    def maintain(self) -> None:
        """Restore the reserve if there is space, and shrink an empty buffer.

        The flusher deletes the reserve when the disk is too full to delete delivered
        lines.
        """
        free = shutil.disk_usage(self._folder).free
        if not self._reserve.exists() and free > self.min_free + 3 * RESERVE:
            allocate_reserve(self._reserve)
        self._shrink()
        if self._wal_bytes() > LARGE_WAL:
            self.truncate_wal()

    def _wal_bytes(self) -> int:
        wal = Path(f"{self._store.path}-wal")
        return wal.stat().st_size if wal.exists() else 0

    def truncate_wal(self) -> None:
        """Truncate the WAL, unless another process is reading it now."""
        run = self._store.connection.execute
        (timeout,) = run("pragma busy_timeout").fetchone()
        run("pragma busy_timeout = 0").fetchall()
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                run("pragma wal_checkpoint(truncate)").fetchall()
        finally:
            run(f"pragma busy_timeout = {int(timeout)}").fetchall()

    def _shrink(self) -> None:
        used, spare = self._pages()
        if spare > SPARE_PAGES and spare > used / 3:
            # execute() would silently free only one page.
            with contextlib.suppress(sqlite3.OperationalError):
                self._store.connection.executescript("pragma incremental_vacuum")


def reserve_path(buffer: Path) -> Path:
    """Return the path of a buffer's reserve file."""
    return buffer.with_name(buffer.name + ".ballast")


def allocate_reserve(path: Path) -> None:
    """Allocate disk space that the flusher can free when the disk is full."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        _allocate(fd, RESERVE)
    except OSError:
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _allocate(fd: int, size: int) -> None:
    if sys.platform != "darwin":
        os.posix_fallocate(fd, 0, size)
    else:
        while size:
            size -= os.write(fd, bytes(size))
