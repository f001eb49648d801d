"""Writing to a buffer whose disk is full."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cclake_flusher.queue import Checkpoint, Queue
from cclake_flusher.state import State

FULL = "the disk is full: acknowledged lines stay for now"


def settle(queue: Queue, state: State) -> None:
    """Delete what is acknowledged; on a full disk give up the ballast first.

    Where even that does not help, the rows stay for now: the queue goes on
    behind them from memory, and a later call deletes them.

    Raises:
        sqlite3.Error: The trouble is another one.
    """
    if _unless_full(queue.settle):
        state.buffer_problem = ""
        return
    with contextlib.suppress(OSError):
        Path(f"{queue.path}.ballast").unlink()
    state.buffer_problem = "" if _unless_full(queue.settle) else FULL


def mark_delivered(queue: Queue, checkpoints: list[Checkpoint], state: State) -> None:
    """Note which checkpoints MongoDB has; on a full disk they are sent again."""
    if not _unless_full(lambda: queue.mark_delivered(checkpoints)):
        state.buffer_problem = FULL


def _unless_full(work: Callable[[], None]) -> bool:
    try:
        work()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
            raise
        return False
    return True
