"""Write a SQLite file in bulk: rows come from DuckDB as Arrow batches.

No value becomes a Python object on the way, which would be most of the work, and
other threads run meanwhile.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi

PAGE_SIZE = 16_384  # rows of blocks leave less of such a page unused than of 8 KB
NEW = (
    f"page_size = {PAGE_SIZE}",
    "journal_mode = off",
    "synchronous = off",
    "locking_mode = exclusive",
    "cache_size = -65536",
    "threads = 2",  # they sort when indexes are made
)
SERVED = (
    "busy_timeout = 10000",
    "synchronous = full",  # what is published survives a power failure
    "fullfsync = on",  # without it, macOS does not wait for the disk
    "wal_autocheckpoint = 0",
    "cache_size = -65536",
)
Error = adbc.Error

# Called with the name of a table and a number of rows just written.
Progress = Callable[[str, int], None]


class Transaction:
    """A transaction on a file.

    SQLite works in a thread of its own, since the driver handles SIGINT in the main
    thread and may lose it. So Ctrl-C takes effect at once, and closing the file waits
    for SQLite.
    """

    def __init__(self, path: Path, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._last: Future[int] | None = None
        self._connection: adbc.Connection
        self._cursor: adbc.Cursor
        thread.submit(self._open, path).result()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        self._wait()
        return self._thread.submit(self._run, sql).result()

    def insert(self, table: str, rows: pa.RecordBatch) -> None:
        """Append rows to a table, column by column name.

        The caller prepares more rows while SQLite inserts these; a later call raises
        what went wrong.
        """
        self._wait()
        insert = self._cursor.adbc_ingest
        self._last = self._thread.submit(insert, table, rows, mode="append")

    def keep(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Create a temporary table, `temp.<table>`, with rows."""
        self._wait()
        insert = self._cursor.adbc_ingest
        self._thread.submit(insert, table, rows, mode="create", temporary=True).result()

    def close(self) -> None:
        """Wait for SQLite, and close the file."""
        self._thread.submit(self._close).result()

    def _wait(self) -> None:
        if self._last:
            last, self._last = self._last, None
            last.result()

    def _open(self, path: Path) -> None:
        self._connection = dbapi.connect(str(path.absolute()), autocommit=True)
        self._cursor = self._connection.cursor()

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql)
        return self._cursor.fetchall()

    def _close(self) -> None:
        self._cursor.close()
        self._connection.close()


@contextmanager
def writing(path: Path) -> Iterator[Transaction]:
    """Write a new file in one transaction; it is in WAL mode afterwards.

    There is no journal, so a file is useless after an error.

    Raises:
        Error: SQLite could not write.
    """
    with opened(path) as file:
        file.run("begin")
        yield file
        file.run("commit")
        # Statistics for the query planner, if none exist or tables grew tenfold.
        file.run("pragma main.optimize = 0x10002")
        file.run("pragma main.journal_mode = wal")


@contextmanager
def changing(path: Path) -> Iterator[Transaction]:
    """Change a file in one transaction while it is read.

    Raises:
        Error: SQLite could not write.
    """
    with opened(path, SERVED) as file:
        file.run("begin immediate")
        yield file
        file.run("commit")
        # Checkpoint the WAL. What readers need, or what the disk has no space for, is
        # left to the next publication.
        with suppress(Error):
            file.run("pragma wal_checkpoint(passive)")
            file.run("pragma busy_timeout = 200")
            file.run("pragma wal_checkpoint(truncate)")


@contextmanager
def opened(path: Path, pragmas: tuple[str, ...] = NEW) -> Iterator[Transaction]:
    """Open a file without beginning a transaction."""
    with ThreadPoolExecutor(1) as thread:
        file = Transaction(path, thread)
        try:
            for pragma in pragmas:
                file.run(f"pragma {pragma}")
            yield file
        finally:
            file.close()
