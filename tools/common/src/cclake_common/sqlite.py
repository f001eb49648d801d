"""Read SQLite files that another process may write or replace."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

WAIT_S = 5.0
KEYS_PER_QUERY = 500


def connect_readonly(
    path: Path, wait_s: float = WAIT_S, **options: Any
) -> sqlite3.Connection:
    """Open a database for reading only.

    Args:
        path: The database.
        wait_s: Maximum time to wait for a lock, in seconds.
        options: Further arguments of `sqlite3.connect`.

    Raises:
        sqlite3.OperationalError: There is no such file.
    """
    options |= {"uri": True, "timeout": wait_s}
    connection: sqlite3.Connection = sqlite3.connect(readonly_uri(path), **options)
    return connection


def readonly_uri(path: Path) -> str:
    """Return the address that opens a database for reading only."""
    return f"{path.absolute().as_uri()}?mode=ro"


def rows_with_keys(
    connection: sqlite3.Connection, sql: str, keys: Iterable[str], *before: str
) -> Iterator[Any]:
    """Yield the rows of as many queries as the number of keys asks for.

    Args:
        connection: The database.
        sql: The query, with `{}` where the list of the keys belongs.
        keys: The keys.
        before: The values of the placeholders before that list.
    """
    wanted = list(keys)
    for start in range(0, len(wanted), KEYS_PER_QUERY):
        some = wanted[start : start + KEYS_PER_QUERY]
        marks = ", ".join("?" * len(some))
        yield from connection.execute(sql.format(marks), (*before, *some))


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what stays the same until a file is replaced; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
