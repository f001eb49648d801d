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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from datasette.database import Database
from datasette.utils import sqlite_timelimit

if TYPE_CHECKING:  # it loads its plugins while it is itself imported
    from datasette.app import Datasette

NAME = "conversations"
NEEDED = {"dim_sessions", "thread_entries", "thread_blocks"}
LOOK_EVERY = 0.4  # seconds between two looks at the file
# seconds that a replaced generation stays open
GRACE = float(os.environ.get("CCLAKE_WEB_GRACE_S") or 30)
LIMIT_MS = 5000  # a page's query is ended after this time

T = TypeVar("T")


class Generation(Database):  # type: ignore[misc]
    """One life of the export file, opened read-only.

    Attributes:
        stamp: Identifies the file: inode, time of change, size.
        uri: Its address for SQLite, read-only.
        cache: Results that hold for as long as the generation does.
        readers: Number of reads going on.
    """

    def __init__(self, ds: Datasette, path: Path, stamp: tuple[int, ...]) -> None:
        super().__init__(ds, str(path), is_mutable=True)
        self.stamp = stamp
        self.cache: dict[Any, Any] = {}
        self.readers = 0
        self.uri = Path(self.path).absolute().as_uri() + "?immutable=1"
        self._mine = threading.local()

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """Open the file; it is never written in place, so without locks."""
        connection = sqlite3.connect(self.uri, uri=True, check_same_thread=False)
        self._all_file_connections.append(connection)
        return connection

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function with this generation's connection of a worker thread."""
        with self.held():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.ds.executor, self._run, fn)

    def _run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self.connect()
            self.ds._prepare_connection(connection, self.name)
            self._mine.connection = connection
        return fn(connection)

    @contextlib.contextmanager
    def held(self) -> Iterator[Generation]:
        """Keep the generation open, for reads that need several calls."""
        self.readers += 1
        try:
            yield self
        finally:
            self.readers -= 1

    async def read(
        self, fn: Callable[..., T], *args: Any, limit_ms: int = LIMIT_MS, **named: Any
    ) -> T:
        """Run `fn(connection, ...)` within a time limit, rows by name.

        Raises:
            sqlite3.OperationalError: "interrupted" when the limit has passed.
        """

        def within(connection: sqlite3.Connection) -> T:
            factory = connection.row_factory
            connection.row_factory = sqlite3.Row
            try:
                with sqlite_timelimit(connection, limit_ms):
                    return fn(connection, *args, **named)
            finally:
                connection.row_factory = factory

        return await self.execute_fn(within)


class Exports:
    """Finds the newest generation and hands it to Datasette."""

    def __init__(self, ds: Datasette, path: Path) -> None:
        self.ds, self.path = ds, path
        self.current: Generation | None = None
        self._looked = float("-inf")
        self._refused: tuple[int, ...] | None = None

    def look(self) -> Generation | None:
        """The newest generation; looks at the file at most every 0.4 s."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            stamp = self._stamp()
            known = (self.current and self.current.stamp, self._refused)
            if stamp and stamp not in known:
                self._open(stamp)
        return self.current

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def _open(self, stamp: tuple[int, ...]) -> None:
        new = Generation(self.ds, self.path, stamp)
        try:
            tables = new.connect().execute("select name from sqlite_master").fetchall()
            missing = NEEDED - {name for (name,) in tables}
        except sqlite3.DatabaseError as error:
            missing = {str(error)}
        if missing:
            self._refused = stamp
            what = ", ".join(sorted(missing))
            print(f"web: {self.path} is no export ({what})", file=sys.stderr)
            new.close()
            return
        old, self.current = self.current, new
        new.name = new.route = NAME
        # Replaced, not changed: a request in flight keeps the dictionary it has.
        self.ds.databases = {**self.ds.databases, NAME: new}
        if old:
            _close_later(old)


def _close_later(old: Generation) -> None:
    loop = asyncio.get_running_loop()

    def close() -> None:
        if old.readers:
            loop.call_later(1.0, close)
        else:
            loop.run_in_executor(None, partial(_close, old))

    loop.call_later(GRACE, close)


def _close(old: Generation) -> None:
    with contextlib.suppress(sqlite3.Error):
        old.close()
