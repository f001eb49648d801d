"""Writing a SQLite file in bulk: rows come from DuckDB as Arrow batches.

No value becomes a Python object on its way, which is most of the work otherwise, and
other threads run meanwhile.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    "synchronous = full",  # what is published survives a loss of power
    "wal_autocheckpoint = 0",
    "cache_size = -65536",
)
Error = adbc.Error

# Called with a table's name and a number of rows just written.
Progress = Callable[[str, int], None]


class Bulk:
    """One transaction on a file.

    SQLite works in a thread of its own: in the main thread the driver takes over
    SIGINT while it works, and may lose it. So Ctrl-C comes at once, and what SQLite is
    at is waited for when the file is closed.
    """

    def __init__(self, path: Path, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._connection: adbc.Connection
        self._cursor: adbc.Cursor
        thread.submit(self._open, path).result()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement; gives its rows."""
        return self._thread.submit(self._run, sql).result()

    def insert(self, table: str, rows: pa.RecordBatch) -> None:
        """Append rows to a table, column by column name."""
        insert = self._cursor.adbc_ingest
        self._thread.submit(insert, table, rows, mode="append").result()

    def keep(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Make a temporary table, `temp.<table>`, of some rows."""
        insert = self._cursor.adbc_ingest
        self._thread.submit(insert, table, rows, mode="create", temporary=True).result()

    def close(self) -> None:
        """Close the file, once what is under way has ended."""
        self._thread.submit(self._close).result()

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
def writing(path: Path) -> Iterator[Bulk]:
    """Write a new file in one transaction; it is in WAL mode afterwards.

    There is no journal: a file whose writing fails is useless.

    Raises:
        Error: SQLite could not write.
    """
    with _opened(path, NEW) as file:
        file.run("begin")
        yield file
        file.run("commit")
        # What planners of readers go by: where there is none, or ten times more.
        file.run("pragma optimize = 0x10002")
        file.run("pragma journal_mode = wal")


@contextmanager
def changing(path: Path) -> Iterator[Bulk]:
    """Change a file that is read meanwhile, in one transaction, or not at all.

    Raises:
        Error: SQLite could not write.
    """
    with _opened(path, SERVED) as file:
        file.run("begin immediate")
        yield file
        file.run("commit")
        # Bring the log into the file. What a reader still needs is left for the next
        # publication, and so is what finds no room on the disk.
        with suppress(Error):
            file.run("pragma wal_checkpoint(passive)")
            file.run("pragma busy_timeout = 200")
            file.run("pragma wal_checkpoint(truncate)")


@contextmanager
def _opened(path: Path, pragmas: tuple[str, ...]) -> Iterator[Bulk]:
    with ThreadPoolExecutor(1) as thread:
        file = Bulk(path, thread)
        try:
            for pragma in pragmas:
                file.run(f"pragma {pragma}")
            yield file
        finally:
            file.close()
