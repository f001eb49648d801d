"""Open a buffer in any state, retry commits, and replace a damaged buffer."""

import contextlib
import select
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.lock import exclusive
from cclake_common.stop import Stop

from cclake_buffer import schema
from cclake_buffer.batch import Batch
from cclake_buffer.limits import Limits
from cclake_buffer.store import Store

RETRY_S = 0.2
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
REMOVED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
FILES = ("", "-wal", "-shm")
READABLE = """
select seq, host, path, file, off, len, kind, at, body from queue
where seq {} ? order by seq {}
"""
# A tailer without checkpoints counts generations from 0; these lines are older.
INSERT = """
insert into queue (host, path, file, gen, off, len, kind, at, body)
values (?, ?, ?, -1, ?, ?, ?, ?, ?)
"""
QueueRow = tuple[str, str, str, int, int, str, float, bytes]
"""host, path, file, off, len, kind, at, body"""


def open_store(path: Path) -> Store:
    """Open the buffer, or create it; set a damaged one aside.

    Raises:
        Failure: The buffer was damaged, or its folder can't be written. The tailer
            was started with the positions of the damaged one, so both must restart.
    """
    with ExitStack() as stack:
        # Two appenders must not create or set aside the same file at the same time.
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            setup = path.with_name(path.name + ".setup.lock")
            stack.enter_context(exclusive(setup))
        except OSError as error:
            raise Failure(
                f"cannot write beside the buffer {path}: {error.strerror}",
                "Name another place with --sqlite-path or SQLITE_PATH.",
            ) from error
        return _open(path)


def commit_with_retry(store: Store, batch: Batch, limits: Limits, stop: Stop) -> None:
    """Commit a batch; if the disk is full or the file is busy, wait and try again.

    Raises:
        Failure: The buffer is damaged (and has been set aside) or was removed, or
            the process was asked to stop while it waited.
    """
    reported = False
    while True:
        try:
            store.commit(batch)
        except sqlite3.Error as error:
            _raise_if_lost(store, error)
            if not reported:
                print(f"buffer: waiting to commit: {error}", file=sys.stderr)
                reported = True
            limits.truncate_wal()
            if select.select([stop.fd], [], [], RETRY_S)[0]:
                raise Failure(f"stopped: {error}", code=TRY_LATER) from error
        else:
            return


def find_damage(path: Path) -> str:
    """Return the first problem in the buffer's file; empty if it is sound.

    Reads every page once, which is cheap at the start: a drained buffer is small.
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


def removed(path: Path) -> Failure:
    """Return the failure of a buffer that was deleted or replaced."""
    return Failure(
        f"{path} was deleted or replaced while it was in use",
        "Start again: a new buffer is created, and the logs are read again.",
        TRY_LATER,
    )


def damaged(path: Path, problem: str) -> Failure:
    """Set a damaged buffer aside, and return the failure that says so.

    The tailer was started with the positions of the old one, so both must restart.
    """
    place = set_aside(path)
    return Failure(
        f"the buffer is damaged ({problem}) and was set aside as {place}",
        "Start again: a new buffer exists, and the logs are read again.",
        TRY_LATER,
    )


def set_aside(path: Path) -> Path:
    """Rename a damaged buffer, and copy the readable part of its queue into a new one.

    Returns:
        The new name of the damaged file.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S")
    place = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in FILES:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{place}{suffix}")
    _copy_queue(place, path)
    return place


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code of an SQLite error; 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _open(path: Path) -> Store:
    existed = path.exists() and path.stat().st_size > 0
    problem = find_damage(path) if existed else ""
    if not problem:
        try:
            return Store(path)
        except sqlite3.DatabaseError as error:
            if primary_code(error) not in DAMAGED:
                raise Failure(
                    f"cannot open the buffer {path}: {error}",
                    "If another program created the file, move it away, or name "
                    "another place with SQLITE_PATH.",
                ) from error
            problem = str(error)
    raise damaged(path, problem)


def _raise_if_lost(store: Store, error: sqlite3.Error) -> None:
    """Raise a failure if waiting can't help; set a damaged buffer aside."""
    code = primary_code(error)
    if code in REMOVED or store.is_moved():
        raise removed(store.path) from error
    if code in DAMAGED:
        store.close()
        raise damaged(store.path, str(error)) from error


def _copy_queue(damaged: Path, new: Path) -> None:
    """Copy the queue of a damaged buffer into a new one, as far as it is readable.

    The logs usually hold these lines too, and MongoDB refuses the repeats. But if a
    log was deleted, the queue held the only copy.
    """
    target = schema.create(new)
    source = sqlite3.connect(damaged, isolation_level=None)
    count = size = 0
    try:
        target.execute("begin immediate")
        for row in _readable(source):
            target.execute(INSERT, row)
            count += 1
            size += row[4]
        for value, name in ((count, "lines_read"), (size, "bytes_read")):
            target.execute(
                "update counters set value = value + ? where name = ?", (value, name)
            )
        target.execute("commit")
    finally:
        source.close()
        target.close()


def _readable(source: sqlite3.Connection) -> Iterator[QueueRow]:
    """Yield the rows before the damage, then those after it."""
    last = 0
    for row in _rows(source, READABLE.format(">", "asc"), 0):
        last = row[0]
        yield row[1:]
    after = []
    for row in _rows(source, READABLE.format("<", "desc"), 1 << 62):
        if row[0] <= last:
            break
        after.append(row[1:])
    yield from reversed(after)


def _rows(source: sqlite3.Connection, sql: str, start: int) -> Iterator[Any]:
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from source.execute(sql, (start,))
