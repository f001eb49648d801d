"""Open the buffer for `buffer append`, whatever state it is in."""

import fcntl
import os
import sqlite3
from pathlib import Path

from cclake_common.failure import Failure

from cclake_buffer.aside import is_damaged
from cclake_buffer.patience import DAMAGED, damaged, primary_code
from cclake_buffer.store import Store


def open_store(path: Path) -> Store:
    """Open the buffer, or make one; a damaged one is set aside.

    Raises:
        Failure: It was damaged. The tailer has been started with its positions,
            so the pair must start again; or the folder can't be written.
    """
    lock = _lock_file(path)
    try:
        # Two appenders must not set aside, or make, the same file at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _open(path)
    finally:
        os.close(lock)


def _lock_file(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(
            path.with_name(path.name + ".setup.lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
    except OSError as error:
        raise Failure(
            f"cannot write beside the buffer {path}: {error.strerror}",
            "Name another place with --sqlite-path or SQLITE_PATH.",
        ) from error


def _open(path: Path) -> Store:
    existed = path.exists() and path.stat().st_size > 0
    problem = is_damaged(path) if existed else ""
    if not problem:
        try:
            return Store(path)
        except sqlite3.DatabaseError as error:
            if primary_code(error) not in DAMAGED:
                raise Failure(
                    f"cannot open the buffer {path}: {error}",
                    "Where another program made it, move it away; or name another"
                    " place with SQLITE_PATH.",
                ) from error
            problem = str(error)
    raise damaged(path, problem)
