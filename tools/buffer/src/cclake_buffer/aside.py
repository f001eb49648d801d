"""Set a damaged buffer aside, so that a new one can take its place."""

import contextlib
import sqlite3
import time
from pathlib import Path

from cclake_buffer.rescue import rescue

PARTS = ("", "-wal", "-shm")


def set_aside(path: Path) -> Path:
    """Rename a damaged buffer and its side files; nothing of it is deleted.

    What can be read of its queue goes into a new buffer.

    Returns:
        The new name of the file.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S")
    place = path.with_name(f"{path.name}.damaged-{stamp}")
    for part in PARTS:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{part}").rename(f"{place}{part}")
    rescue(place, path)
    return place


def is_damaged(path: Path) -> str:
    """Why the buffer can't be used: the first problem found; empty if it is sound.

    It reads every page once: at the start that is cheap, since a drained
    buffer is small.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    except sqlite3.Error as error:
        return str(error)
    try:
        connection.execute("pragma busy_timeout = 30000")
        found = connection.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        locked = isinstance(error, sqlite3.OperationalError)
        return "" if locked else str(error)
    finally:
        connection.close()
    return "" if found == "ok" else str(found)
