"""Deleting from a buffer whose disk is full."""

import contextlib
import sqlite3
from pathlib import Path

from cclake_flusher.queue import Queue
from cclake_flusher.state import State


def settle_on_a_full_disk(queue: Queue, state: State) -> None:
    """Delete what is acknowledged; on a full disk give up the ballast first.

    Where even that does not help, the rows stay for now: the queue goes on
    behind them from memory, and a later call deletes them.

    Raises:
        sqlite3.Error: The trouble is another one.
    """
    try:
        queue.settle()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
            raise
        with contextlib.suppress(OSError):
            Path(f"{queue.path}.ballast").unlink()
        try:
            queue.settle()
        except sqlite3.OperationalError:
            state.buffer_problem = "the disk is full: acknowledged lines stay for now"
            return
    state.buffer_problem = ""
