"""How large the buffer may grow, and how full the disk may be: reading pauses then."""

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
LEAST_CAP = 64 * MB
DEFAULT_MIN_FREE = 256 * MB
BALLAST = 8 * MB
LOOK_EVERY_S = 0.2
SPARE_PAGES = 32 * MB
LARGE_WAL = 4 * MB


def default_cap(folder: Path) -> int:
    """512 MB, or a tenth of the free space where that is less (64 MB at least)."""
    return max(LEAST_CAP, min(DEFAULT_CAP, shutil.disk_usage(folder).free // 10))


class Limits:
    """Stops the reading while the buffer or the disk is too full; drops nothing.

    Attributes:
        max_bytes: Most bytes of content in the buffer.
        min_free: Fewest free bytes on its disk.
    """

    def __init__(
        self, store: Store, max_bytes: int | None = None, min_free: int | None = None
    ) -> None:
        self._store = store
        self._folder = store.path.absolute().parent
        self.max_bytes = max_bytes or default_cap(self._folder)
        self.min_free = DEFAULT_MIN_FREE if min_free is None else min_free
        self._ballast = ballast_path(store.path)
        self.paused = ""
        self._say("")

    def _pages(self) -> tuple[int, int]:
        """Bytes of the pages that hold something, and of those that are free."""
        execute = self._store.connection.execute
        size = execute("pragma page_size").fetchone()[0]
        pages = execute("pragma page_count").fetchone()[0]
        free = execute("pragma freelist_count").fetchone()[0]
        return (pages - free) * size, free * size

    def reason(self) -> str:
        """Why reading must pause now: `cap`, `free`, or nothing.

        Free pages within the file count as free space: they are filled first.
        """
        used, spare = self._pages()
        if used > self.max_bytes:
            return "cap"
        if shutil.disk_usage(self._folder).free + spare < self.min_free:
            return "free"
        return ""

    def wait_for_room(self, stop: Stop) -> None:
        """Return when there is room again.

        Raises:
            Failure: Asked to stop, or the buffer went away meanwhile.
        """
        while reason := self.reason():
            if reason != self.paused:
                self._say(reason)
            self.fold_wal()
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
            what = "the buffer is at its cap" if reason == "cap" else "the disk is full"
            print(f"buffer: reading pauses, {what}; nothing is lost", file=sys.stderr)

    def look_after(self) -> None:
        """Take ballast aboard again when there is room, and shrink an empty buffer.

        The ballast is the flusher's: it gives it up when the disk is too full to
        delete what is delivered.
        """
        free = shutil.disk_usage(self._folder).free
        if not self._ballast.exists() and free > self.min_free + 3 * BALLAST:
            take_ballast(self._ballast)
        self._shrink()
        if self._wal_bytes() > LARGE_WAL:
            self.fold_wal()

    def _wal_bytes(self) -> int:
        wal = Path(f"{self._store.path}-wal")
        return wal.stat().st_size if wal.exists() else 0

    def fold_wal(self) -> None:
        """Give back the space of the WAL, unless someone is reading it now."""
        run = self._store.connection.execute
        (patience,) = run("pragma busy_timeout").fetchone()
        run("pragma busy_timeout = 0").fetchall()
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                run("pragma wal_checkpoint(truncate)").fetchall()
        finally:
            run(f"pragma busy_timeout = {int(patience)}").fetchall()

    def _shrink(self) -> None:
        used, spare = self._pages()
        if spare > SPARE_PAGES and spare > used / 3:
            # Not by execute(): that would free a single page, and say nothing.
            with contextlib.suppress(sqlite3.OperationalError):
                self._store.connection.executescript("pragma incremental_vacuum")


def ballast_path(buffer: Path) -> Path:
    """Where the ballast of a buffer lies."""
    return buffer.with_name(buffer.name + ".ballast")


def take_ballast(path: Path) -> None:
    """Reserve space that can be given up when the disk is full."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.posix_fallocate(fd, 0, BALLAST)
    except OSError:
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)
