"""Read SQLite files that another process may write or replace."""

import sqlite3
from pathlib import Path
from typing import Any

WAIT_S = 5.0


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


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what stays the same until a file is replaced; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
