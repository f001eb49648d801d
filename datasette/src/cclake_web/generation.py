"""One life of the export file."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from datasette.database import Database

from cclake_web import deadline
from cclake_web.masking import masked_row

if TYPE_CHECKING:  # it loads its plugins while it is itself imported
    from datasette.app import Datasette

NAME = "conversations"
# Whether the request at hand asked for secrets and may see them.
REVEALING: ContextVar[bool] = ContextVar("cclake_revealing", default=False)
LIMIT_MS = 5000  # a page's query is ended after this time
STEPS = 20_000  # of SQLite between two looks at the clock

LARGEST = 8_000_000  # bytes of a cell on Datasette's own pages
ANSWER = 16_000_000  # characters and bytes of all cells of an answer
_ROOM = "narrow the question, or read the export with sqlite3"

T = TypeVar("T")


class Generation(Database):  # type: ignore[misc]
    """One life of the export file, opened read-only.

    All its connections are opened at once: opened later, by the same name, one
    could see the file that has taken its place.

    Attributes:
        stamp: Identifies the file: inode, time of change, size.
        cache: Results that hold for as long as the generation does.
        readers: Number of reads going on.
        threads: Those that prepare this generation, or a later one from it.
        ready: Whether it is prepared, so that no page has to wait.
        spare: A connection of its own for the sums of the dashboard.
        lock: Held by whoever uses it.
        summed: Whether the sums are made.
        list: Another one, for the list of sessions alone, and its `list_lock`.
        listed: Whether that is made.
        published: When the export was made, "" where it does not say.
        longest: Bytes of the longest text that SQLite takes.
    """

    def __init__(self, ds: Datasette, path: Path, stamp: tuple[int, ...]) -> None:
        super().__init__(ds, str(path), is_mutable=True)
        self.name = self.route = NAME
        self.stamp = stamp
        self.cache: dict[Any, Any] = {}
        self.readers = 0
        self.threads: list[threading.Thread] = []
        self.ready = False
        self._opened: list[sqlite3.Connection] = []
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self.spare, self.list = self.connect(), self.connect()
        self.lock, self.list_lock = threading.Lock(), threading.Lock()
        self.summed = self.listed = False
        self.published = _published(self.spare)
        self.longest = self.spare.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        for _ in range(max(ds.setting("num_sql_threads"), 1)):
            connection = self.connect()
            ds._prepare_connection(connection, NAME)
            self._free.put(connection)

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """Open the file; it is never written in place, so without locks."""
        uri = Path(self.path).absolute().as_uri() + "?immutable=1"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._opened.append(connection)
        return connection

    def close(self) -> None:
        """Close every connection; nobody may be reading."""
        for connection in self._opened:
            connection.close()

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function with a connection of this generation in a worker thread.

        All that Datasette itself reads comes from here, and is masked.
        """
        reveal = REVEALING.get()
        with self.held():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.ds.executor, self._run, fn, reveal)

    # What `execute` calls in Datasette 1.0.
    _execute_fn = execute_fn

    def _run(self, fn: Callable[[sqlite3.Connection], T], reveal: bool) -> T:
        connection = self._free.get()
        # Datasette's own pages ask anything; `read` sets both for ours.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
        try:
            with deadline.within(LIMIT_MS / 1000):
                connection.row_factory = _Rows(sqlite3.Row if reveal else masked_row)
                return fn(connection)
        except sqlite3.DataError as error:
            raise sqlite3.OperationalError(f"{error} for one cell: {_ROOM}") from error
        finally:
            self._free.put(connection)

    @contextlib.contextmanager
    def held(self) -> Iterator[Generation]:
        """Keep the generation open, for reads that need several calls."""
        self.readers += 1
        try:
            yield self
        finally:
            self.readers -= 1

    def keep(self, kind: str, most: int, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, once for each key: a generation does not change.

        Args:
            kind: Which results these are.
            most: How many of them are kept; those that came first go first.
            key: What was asked.
            make: Reads the answer.
        """
        known: dict[Hashable, T] = self.cache.setdefault(kind, {})
        if key not in known:
            found = make()
            while len(known) >= most:
                known.pop(next(iter(known)), None)
            known[key] = found
            return found
        return known[key]

    async def read(
        self, fn: Callable[..., T], *args: Any, limit_ms: int = LIMIT_MS, **named: Any
    ) -> T:
        """Run `fn(connection, ...)` within a time limit, rows by name.

        Raises:
            sqlite3.OperationalError: "interrupted" when the limit has passed.
        """

        def within(connection: sqlite3.Connection) -> T:
            connection.row_factory = sqlite3.Row
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self.longest)
            try:
                with deadline.within(limit_ms / 1000) as end:
                    connection.set_progress_handler(
                        lambda: time.monotonic() > end, STEPS
                    )
                    return fn(connection, *args, **named)
            finally:
                connection.set_progress_handler(None, 0)

        return await self.execute_fn(within)


class _Rows:
    """Makes the rows of one query, within the limits of size and time."""

    def __init__(self, make: Callable[[sqlite3.Cursor, tuple[Any, ...]], Any]) -> None:
        self.make, self.size = make, 0

    def __call__(self, cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Any:
        self.size += sum(len(one) for one in row if isinstance(one, str | bytes))
        if self.size > ANSWER:
            raise sqlite3.OperationalError(f"too much for one answer: {_ROOM}")
        deadline.check()
        return self.make(cursor, row)


def _published(connection: sqlite3.Connection) -> str:
    try:
        row = connection.execute(_PUBLISHED).fetchone()
    except sqlite3.Error:
        return ""  # an export of another make
    return str(row[0]) if row else ""


_PUBLISHED = "select value from export_info where name = 'published_at'"
