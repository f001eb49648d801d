"""Read the served export: one SQLite file, which `publish` changes in place.

A change is one transaction, so each reading sees the state before or after it. A full
publication replaces the file under its name, and stock Datasette would keep serving the
old one. This module checks the name, and reopens the connections if the file changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cclake_common.sqlite import connect_readonly
from datasette.database import Database

from cclake_web import deadline
from cclake_web.masking import masked_row
from cclake_web.team import limits
from cclake_web.team.reader import READER, Rights

if TYPE_CHECKING:  # Datasette loads its plugins while it is being imported
    from datasette.app import Datasette

NAME = "conversations"
# Whether the current request asked for secrets and may see them.
REVEALING: ContextVar[bool] = ContextVar("cclake_revealing", default=False)
LIMIT_MS = 5000  # time limit of the query of a page, in milliseconds
STEPS = 20_000  # SQLite steps between two checks of the time
LOOK_EVERY = 0.4  # seconds between two checks of the name of the file
WATCH_EVERY = 10.0  # the same while no page is requested

LONGEST = 2**31 - 1  # maximum bytes of a cell on our pages: the limit of SQLite
LARGEST = 8_000_000  # the same on Datasette's own pages
ANSWER = 16_000_000  # maximum size of all cells of an answer
RIGHTS = 16  # maximum number of different rights whose connections are kept
_ROOM = "narrow the query, or read the export with sqlite3"

# Columns that an export of this version has.
NEEDED = {
    "agg_call_quarters.durations",
    "agg_message_quarters.conversation_messages",
    "agg_response_quarters.quarter_no",
    "agg_session_metrics.uncounted_responses",
    "dim_sessions.session_id",
    "fct_file_operations.file_name",
    "thread_entries.owner_session_id",
    "thread_blocks.error_kind",
    "thread_blocks.search_id",
}
_COLUMNS = """select t.name || '.' || c.name from sqlite_master t
join pragma_table_info(t.name) c where t.type = 'table'"""
_ID = "select value from export_info where name = 'export_id'"

T = TypeVar("T")


@dataclass
class Published:
    """A published state of the export, with cached results.

    Attributes:
        info: The rows of `export_info`.
        kept: Cached results by kind and key.
        rights: Its limit; None for everything.
        sessions: The sessions within it; None for all.
    """

    info: dict[str, str] = field(default_factory=dict)
    kept: dict[str, dict[Hashable, Any]] = field(default_factory=dict)
    rights: Rights | None = None
    sessions: frozenset[str] | None = None

    @property
    def export_id(self) -> str:
        """Its id, which each publication changes."""
        return self.info.get("export_id", "")


# The snapshot that the current thread reads.
_READING: ContextVar[Published | None] = ContextVar("cclake_reading", default=None)


def reading() -> Published:
    """Return the state that this thread reads."""
    return _READING.get() or Published()


class Export(Database):  # type: ignore[misc]
    """The export under its name, opened read-only."""

    def __init__(self, ds: Datasette, path: Path) -> None:
        super().__init__(ds, str(path), is_mutable=True)
        self.name = self.route = NAME
        self._name = path
        self._file: _File | None = None
        self._looked = float("-inf")
        self._refused: tuple[object, ...] | None = None

    def look(self) -> bool:
        """Return whether there is an export; check its name at most every 0.4 s."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            stamp = _stamp(self._name)
            known = self._file.stamp if self._file else None
            if stamp and stamp not in (known, self._refused):
                self._open(stamp)
        return self._file is not None

    async def watch(self) -> None:
        """Check the name forever, so that a replaced file is closed."""
        while True:
            self.look()
            await asyncio.sleep(WATCH_EVERY)

    @property
    def published(self) -> str:
        """The time of publication, or "" if the export does not have it."""
        return self.info.get("published_at", "")

    @property
    def info(self) -> dict[str, str]:
        """`export_info` of the state that this thread reads, or that was last read."""
        return self._now().info

    async def export_id(self) -> str:
        """Return the id of the current publication."""
        return await self.read(lambda _connection: self._now().export_id)

    def keep(self, kind: str, most: int, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, cached by key until the next publication.

        Call it within `read`, so that the result belongs to the state that is read.

        Args:
            kind: The kind of result.
            most: Maximum number of cached results; the oldest is dropped.
            key: The key of the result.
            make: Computes the result.
        """
        known: dict[Hashable, T] = self._now().kept.setdefault(kind, {})
        if key not in known:
            found = make()
            with contextlib.suppress(StopIteration, RuntimeError):  # other threads
                while len(known) >= most:
                    known.pop(next(iter(known)), None)
            known[key] = found
            return found
        return known[key]

    async def read(
        self, fn: Callable[..., T], *args: Any, limit_ms: int = LIMIT_MS, **named: Any
    ) -> T:
        """Run `fn(connection, ...)` on one state, within a time limit, rows by name.

        Raises:
            sqlite3.OperationalError: "interrupted" when the limit has passed.
        """
        return await self._in_thread(_limited(fn, args, named, limit_ms))

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Return a snapshot, to read one state in several calls."""
        file = self._file
        assert file is not None
        held = await asyncio.to_thread(file.connect, _limit())
        try:
            yield Snapshot(self, held)
        finally:
            held.connection.close()

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function with a connection in a worker thread.

        Datasette itself reads everything with this, and gets it masked.
        """
        return await self._in_thread(fn)

    # What `execute` calls in Datasette 1.0.
    _execute_fn = execute_fn

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """Open the file read-only."""
        return _connect(self._name)

    def close(self) -> None:
        """Close every connection that is not in use."""
        if self._file:
            self._file.close()

    def _now(self) -> Published:
        reading = _READING.get()
        if reading is not None:
            return reading
        return self._file.state if self._file else Published()

    async def _in_thread(
        self, fn: Callable[[sqlite3.Connection], T], held: _Held | None = None
    ) -> T:
        reveal, rights = REVEALING.get(), _limit()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self.ds.executor, self._run, fn, reveal, rights, held
        )

    def _run(
        self,
        fn: Callable[[sqlite3.Connection], T],
        reveal: bool,
        rights: Rights | None,
        held: _Held | None,
    ) -> T:
        if held:
            return _read(held, fn, reveal)
        file = self._file
        assert file is not None
        one = file.take(rights)
        try:
            return _read(one, fn, reveal)
        finally:
            file.give(one)

    def _open(self, stamp: tuple[object, ...]) -> None:
        try:
            new = _File(self.ds, self._name, stamp)
        except sqlite3.Error as error:
            reason = str(error)
        else:
            if _stamp(self._name) != stamp:
                new.close()  # just replaced: the next check finds it
                return
            missing = NEEDED - new.columns()
            if not missing:
                self._show(new)
                return
            new.close()
            reason = f"no {', '.join(sorted(missing))}"
        self._refused = stamp
        print(
            f"web: {self._name} is not an export of this version ({reason})",
            file=sys.stderr,
        )

    def _show(self, new: _File) -> None:
        old, self._file = self._file, new
        self._cached_table_counts = None
        # Replace the dictionary, since a running request may hold the old one.
        self.ds.databases = {**self.ds.databases, NAME: self}
        if old:
            old.close()


class Snapshot:
    """A state of the export, for several readings."""

    def __init__(self, export: Export, held: _Held) -> None:
        self._export, self._held = export, held

    async def read(
        self, fn: Callable[..., T], *args: Any, limit_ms: int = LIMIT_MS, **named: Any
    ) -> T:
        """Run `fn(connection, ...)` as `Export.read` does."""
        limited = _limited(fn, args, named, limit_ms)
        return await self._export._in_thread(limited, self._held)


@dataclass
class _Held:
    """A connection in a transaction, and the state that it sees.

    Attributes:
        rights: Its limit; None for everything.
        narrowed: The state that its limit was made for.
    """

    connection: sqlite3.Connection
    state: Published
    rights: Rights | None = None
    narrowed: Published | None = None


class _File:
    """A file that had the name of the export, with its connections."""

    def __init__(self, ds: Datasette, path: Path, stamp: tuple[object, ...]) -> None:
        self.stamp, self.state = stamp, Published()
        self._ds, self._path, self._closed = ds, path, False
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[_Held] = queue.SimpleQueue()
        self._limited: dict[Rights, queue.SimpleQueue[_Held]] = {}
        self.give(self.connect())

    def connect(self, rights: Rights | None = None) -> _Held:
        """Open another connection, and begin a transaction in it."""
        connection = _connect(self._path)
        try:
            self._ds._prepare_connection(connection, NAME)
            held = _Held(connection, self.state, rights)
            self.begin(held)
        except sqlite3.Error:
            connection.close()
            raise
        return held

    def columns(self) -> set[str]:
        """Return all `table.column` of the file."""
        one = self.take()
        try:
            one.connection.row_factory = None
            return {name for (name,) in one.connection.execute(_COLUMNS)}
        finally:
            self.give(one)

    def take(self, rights: Rights | None = None) -> _Held:
        """Take an idle connection, or a new one, in a transaction."""
        try:
            one = self._idle(rights).get_nowait()
        except queue.Empty:
            return self.connect(rights)
        self.begin(one)
        return one

    def give(self, one: _Held) -> None:
        """Return a connection, and end its transaction."""
        one.connection.rollback()
        self._idle(one.rights).put(one)
        if self._closed:
            self.close()

    def _idle(self, rights: Rights | None) -> queue.SimpleQueue[_Held]:
        """Return the idle connections with a limit, the last used limits last."""
        if rights is None:
            return self._free
        with self._lock:
            found = self._limited.pop(rights, None) or queue.SimpleQueue()
            self._limited[rights] = found
            while len(self._limited) > RIGHTS:
                _close(self._limited.pop(next(iter(self._limited))))
        return found

    def begin(self, one: _Held) -> None:
        """Begin a transaction and record the state that it reads."""
        self._begin(one)
        while one.rights:
            own = _limited_state(one, one.rights)
            if one.narrowed is own:
                one.state = own
                break
            # The limit is made outside of the transaction, which ends with a rollback.
            one.connection.rollback()
            limits.narrow(one.connection, own.sessions or ())
            one.narrowed = own
            self._begin(one)

    def _begin(self, one: _Held) -> None:
        connection = one.connection
        connection.row_factory = None
        connection.execute("begin")
        try:
            row = connection.execute(_ID).fetchone()
            with self._lock:
                known = self.state
                if not known.info or known.export_id != (row[0] if row else ""):
                    found = connection.execute("select name, value from export_info")
                    self.state = known = Published(dict(found.fetchall()))
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            known = self.state  # an export of another version
        one.state = known

    def close(self) -> None:
        """Close idle connections now, and the others when they are returned."""
        self._closed = True
        with self._lock:
            idle = [self._free, *self._limited.values()]
        for some in idle:
            _close(some)


def _limited_state(one: _Held, rights: Rights) -> Published:
    """Return the state that a connection reads, as somebody sees it."""
    whole = one.state
    known = whole.kept.setdefault("readers", {})
    if rights not in known:
        places = whole.kept.setdefault("places", {})
        if "all" not in places:
            one.connection.set_authorizer(None)
            places["all"] = limits.places(one.connection)
            one.narrowed = None
        sessions = limits.readable(places["all"], rights)
        known[rights] = Published(whole.info, rights=rights, sessions=sessions)
    found: Published = known[rights]
    return found


def _close(idle: queue.SimpleQueue[_Held]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            idle.get_nowait().connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    return connect_readonly(path, check_same_thread=False, isolation_level=None)


def _stamp(path: Path) -> tuple[object, ...] | None:
    """Return the identity of the file under a name, independent of its content."""
    try:
        real = path.resolve(strict=True)
        stat = real.stat()
    except OSError:
        return None
    return (real, stat.st_dev, stat.st_ino)


def _limit() -> Rights | None:
    """Return the limit of the current reader; None for everything."""
    reader = READER.get()
    return None if reader is None or reader.rights.is_whole else reader.rights


def _limited(
    fn: Callable[..., T], args: tuple[Any, ...], named: dict[str, Any], limit_ms: int
) -> Callable[[sqlite3.Connection], T]:
    def within(connection: sqlite3.Connection) -> T:
        connection.row_factory = sqlite3.Row
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        try:
            with deadline.within(limit_ms / 1000) as end:
                connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
                return fn(connection, *args, **named)
        finally:
            connection.set_progress_handler(None, 0)

    return within


def _read(one: _Held, fn: Callable[[sqlite3.Connection], T], reveal: bool) -> T:
    connection = one.connection
    # For Datasette's own pages, which run any query; `read` sets both for ours.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
    token = _READING.set(one.state)
    try:
        with deadline.within(LIMIT_MS / 1000):
            connection.row_factory = _Rows(sqlite3.Row if reveal else masked_row)
            return fn(connection)
    except sqlite3.DataError as error:
        raise sqlite3.OperationalError(f"{error} for one cell: {_ROOM}") from error
    finally:
        _READING.reset(token)


class _Rows:
    """Makes the rows of a query, within the limits of size and time."""

    def __init__(self, make: Callable[[sqlite3.Cursor, tuple[Any, ...]], Any]) -> None:
        self.make, self.size = make, 0

    def __call__(self, cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Any:
        self.size += sum(len(one) for one in row if isinstance(one, str | bytes))
        if self.size > ANSWER:
            raise sqlite3.OperationalError(f"too much for one answer: {_ROOM}")
        deadline.check()
        return self.make(cursor, row)
