"""Commit through a busy or full disk; give up only on a damaged or lost buffer."""

import select
import sqlite3
import sys
from pathlib import Path

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.stop import Stop

from cclake_buffer.aside import set_aside
from cclake_buffer.limits import Limits
from cclake_buffer.pending import Pending
from cclake_buffer.store import Store

WAIT_S = 0.2
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
MOVED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def commit_patiently(
    store: Store, pending: Pending, limits: Limits, stop: Stop
) -> None:
    """Commit; on a full disk or a busy file wait and try again.

    Raises:
        Failure: The buffer is damaged (it has been set aside), was taken away,
            or the process has been asked to stop while it waits.
    """
    said = False
    while True:
        try:
            store.commit(pending)
        except sqlite3.Error as error:
            give_up_if_lost(store, error)
            if not said:
                print(f"buffer: waiting to commit: {error}", file=sys.stderr)
                said = True
            limits.fold_wal()
            if select.select([stop.fd], [], [], WAIT_S)[0]:
                raise Failure(f"stopped: {error}", code=TRY_LATER) from error
        else:
            return


def give_up_if_lost(store: Store, error: sqlite3.Error) -> None:
    """Raise a failure when waiting can't help; a damaged buffer is set aside."""
    code = primary_code(error)
    if code in MOVED or store.is_moved():
        raise taken_away(store.path) from error
    if code in DAMAGED:
        store.close()
        raise damaged(store.path, str(error)) from error


def taken_away(path: Path) -> Failure:
    """The failure of a buffer that was deleted or replaced."""
    return Failure(
        f"{path} was taken away while it was in use",
        "A new one is made at the next start, and the logs are read again.",
        TRY_LATER,
    )


def damaged(path: Path, problem: str) -> Failure:
    """Set a damaged buffer aside; the failure that says so.

    The tailer was started with the old one's positions: both must start again.
    """
    place = set_aside(path)
    return Failure(
        f"the buffer is damaged ({problem}) and was set aside as {place}",
        "Start again: a new one is there, and the logs are read again.",
        TRY_LATER,
    )


def primary_code(error: sqlite3.Error) -> int:
    """The primary result code of an SQLite error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
