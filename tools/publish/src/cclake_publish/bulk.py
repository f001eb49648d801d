"""Writing a SQLite file in bulk: rows come from DuckDB as Arrow batches.

No value becomes a Python object on its way, which is most of the work otherwise, and
other threads run meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi

PAGE_SIZE = 8_192
Error = adbc.Error


class Bulk:
    """One transaction on a file that nobody else sees yet."""

    def __init__(self, cursor: adbc.Cursor) -> None:
        self._cursor = cursor

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement; gives its rows."""
        self._cursor.execute(sql)
        return self._cursor.fetchall()

    def insert(self, table: str, rows: pa.RecordBatch) -> None:
        """Append rows to a table, column by column name."""
        self._cursor.adbc_ingest(table, rows, mode="append")

    def keep(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Make a temporary table, `temp.<table>`, of some rows."""
        self._cursor.adbc_ingest(table, rows, mode="create", temporary=True)


@contextmanager
def bulk(path: Path) -> Iterator[Bulk]:
    """Write a file in one transaction; it is an ordinary SQLite file afterwards.

    There is no journal: a file whose writing fails is of no use to anyone.

    Raises:
        Error: SQLite could not write.
        KeyboardInterrupt: The user has interrupted it.
    """
    with (
        dbapi.connect(str(path.absolute()), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        try:
            file = Bulk(cursor)
            for pragma in (
                f"page_size = {PAGE_SIZE}",
                "journal_mode = off",
                "synchronous = off",
                "locking_mode = exclusive",
                "cache_size = -65536",
                "threads = 2",  # they sort when indexes are made
            ):
                file.run(f"pragma {pragma}")
            file.run("begin")
            yield file
            file.run("commit")
            # What planners of readers go by: where there is none, or ten times more.
            file.run("pragma optimize = 0x10002")
            file.run("pragma journal_mode = delete")
        except adbc.NotSupportedError as error:
            # Ctrl-C inside SQLite: the driver says only that it cannot cancel.
            raise KeyboardInterrupt from error
