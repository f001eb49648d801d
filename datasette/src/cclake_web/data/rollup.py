"""The sums of a generation: made once, carried on from the one before, and asked.

They lie in memory beside the export, on a connection of their own. What is
asked of them is kept for as long as the generation lives.
"""

import sqlite3
from collections.abc import Callable, Hashable
from typing import TypeVar

from cclake_web.data import sums, tower
from cclake_web.data.carrying import carry
from cclake_web.generation import Generation

T = TypeVar("T")
MOST = 300  # answers that are kept


def ask(export: Generation, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function with the sums of a generation; call it in a worker thread."""
    with export.lock:
        if not export.summed:
            make(export.spare)
            export.summed = True
        return fn(export.spare)


def ask_list(export: Generation, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function that needs no sums but the list of sessions.

    While the others are being made, it does not wait for them.
    """
    if export.summed:
        return ask(export, fn)
    with export.list_lock:
        if not export.listed:
            start(export.list)
            sums.list_sessions(export.list)
            export.listed = True
        return fn(export.list)


def kept(export: Generation, key: Hashable, fn: Callable[[sqlite3.Connection], T]) -> T:
    """What the sums say, once for each key; a generation does not change."""
    return export.keep("sums of", MOST, key, lambda: ask(export, fn))


def kept_list(
    export: Generation, key: Hashable, fn: Callable[[sqlite3.Connection], T]
) -> T:
    """The same of what needs only the list of sessions."""
    return export.keep("sums of", MOST, key, lambda: ask_list(export, fn))


def continue_from(export: Generation, before: Generation | None) -> None:
    """Make the sums, if it can be from those of the generation before."""
    if before and before.summed:
        with export.lock, before.lock:
            if not export.summed:
                start(export.spare)
                export.summed = carry(before.spare, export.spare)
    ask(export, lambda connection: None)


def start(connection: sqlite3.Connection) -> None:
    """Give a connection an empty memory for the sums, beside the export's tables."""
    connection.row_factory = sqlite3.Row
    connection.isolation_level = None
    names = [row[1] for row in connection.execute("pragma database_list")]
    if "sums" in names:
        connection.execute("detach sums")
    connection.execute("pragma temp_store = memory")
    connection.execute("attach ':memory:' as sums")
    connection.executescript(sums.SCHEMA)
    tower.create(connection)


def make(connection: sqlite3.Connection) -> None:
    """Make the sums of all sessions of a connection's export."""
    start(connection)
    sums.list_sessions(connection)
    sums.gather(connection, moved=False)
    connection.executescript(
        """insert into sums.touched
        select quarter from sums.quarters union select quarter from sums.calls"""
    )
    tower.renew(connection)
