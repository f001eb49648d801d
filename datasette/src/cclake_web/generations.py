"""The export as a series of generations: each swap by `publish` is a new file.

Stock Datasette serves a replaced file's old inode for ever. Here a generation
is one Database object with its own connections; a new one takes its place as
soon as the file on disk is another, and the old one is closed once nobody
reads from it and a grace time has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cclake_web.generation import NAME, Generation

if TYPE_CHECKING:  # it loads its plugins while it is itself imported
    from datasette.app import Datasette

# Columns that an export of this version has.
NEEDED = {
    "dim_sessions.session_id",
    "thread_entries.owner_session_id",
    "thread_blocks.session_id",
}
_COLUMNS = """select t.name || '.' || c.name from sqlite_master t
join pragma_table_info(t.name) c where t.type = 'table'"""
LOOK_EVERY = 0.4  # seconds between two looks at the file
WATCH_EVERY = 1.0  # the same while nobody asks for a page
# seconds that a replaced generation stays open
GRACE = float(os.environ.get("CCLAKE_WEB_GRACE_S") or 30)


class Exports:
    """Finds the newest generation and hands it to Datasette."""

    def __init__(
        self,
        ds: Datasette,
        path: Path,
        prepare: Callable[[Generation, Generation | None], None],
    ) -> None:
        """Watch a path.

        Args:
            ds: The Datasette that serves the generations.
            path: Of the export.
            prepare: Work that pages would otherwise wait for, with the generation
                that is shown; it is done in a thread, and a later generation is
                shown when it is done.
        """
        self.ds, self.path, self.prepare = ds, path, prepare
        self.current: Generation | None = None
        self._coming: Generation | None = None
        self._looked = float("-inf")
        self._refused: tuple[int, ...] | None = None

    def look(self) -> Generation | None:
        """The newest generation; looks at the file at most every 0.4 s."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            stamp = self._stamp()
            open_ones = [one.stamp for one in (self.current, self._coming) if one]
            known = (*open_ones, self._refused)
            if stamp and stamp not in known:
                self._open(stamp)
        if self._coming and self._coming.ready:
            new, self._coming = self._coming, None
            self._show(new)
        return self.current

    async def watch(self) -> None:
        """Look at the file for ever, so that a new export is ready before it is asked.

        Else who comes back after hours would be shown what was newest then.
        """
        while True:
            self.look()
            await asyncio.sleep(WATCH_EVERY)

    @property
    def counting(self) -> bool:
        """Whether a newer export is there, whose sums are not yet made."""
        return self._coming is not None

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def _open(self, stamp: tuple[int, ...]) -> None:
        new = self._opened(stamp)
        if new is None:
            return
        work = (new, self.current)
        thread = threading.Thread(target=self._prepare, args=work, daemon=True)
        for one in filter(None, work):
            one.threads.append(thread)  # neither is closed while it reads them
        thread.start()
        if self.current is None:
            self._show(new)
        else:
            overtaken, self._coming = self._coming, new
            if overtaken:
                _close_later(overtaken)

    def _opened(self, stamp: tuple[int, ...]) -> Generation | None:
        """The file as a generation, or None where it is no export."""
        try:
            new = Generation(self.ds, self.path, stamp)
            columns = new.spare.execute(_COLUMNS).fetchall()
        except sqlite3.Error as error:
            reason = str(error)
        else:
            missing = NEEDED - {name for (name,) in columns}
            if self._stamp() != stamp:
                new.close()  # replaced just now: the next look sees it
                return None
            if not missing:
                return new
            reason = f"no {', '.join(sorted(missing))}"
        self._refused = stamp
        print(
            f"web: {self.path} is no export of this version ({reason})",
            file=sys.stderr,
        )
        return None

    def _prepare(self, new: Generation, before: Generation | None) -> None:
        try:
            self.prepare(new, before)
        except sqlite3.Error as error:
            print(f"web: {self.path}: {error}", file=sys.stderr)
        finally:
            new.ready = True

    def _show(self, new: Generation) -> None:
        old, self.current = self.current, new
        # Replaced, not changed: a request in flight keeps the dictionary it has.
        self.ds.databases = {**self.ds.databases, NAME: new}
        if old:
            _close_later(old)


def _close_later(old: Generation) -> None:
    loop = asyncio.get_running_loop()

    def close() -> None:
        if old.readers or any(thread.is_alive() for thread in old.threads):
            loop.call_later(1.0, close)
        else:
            loop.run_in_executor(None, partial(_close, old))

    loop.call_later(GRACE, close)


def _close(old: Generation) -> None:
    with contextlib.suppress(sqlite3.Error):
        old.close()
