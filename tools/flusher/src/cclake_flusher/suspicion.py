"""Tell `buffer append` that its file may be damaged: it checks, and sets it aside."""

import contextlib
import sqlite3
from pathlib import Path

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def suspect(path: Path, error: sqlite3.Error) -> None:
    """Leave a mark beside the buffer if this error means that it is damaged."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
        with contextlib.suppress(OSError):
            Path(f"{path}.suspect").touch()
