"""The sums of the export: made once for each publication, and asked.

They lie in memory beside the export, on a connection of their own. What is
asked of them is kept until the next publication.
"""

import sqlite3
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from cclake_web.data import sums, tower
from cclake_web.export import Export

T = TypeVar("T")
MOST = 300  # answers that are kept
_MAKING = Lock()


@dataclass
class _Sums:
    """The sums of one publication, and apart from them its list of sessions."""

    all: sqlite3.Connection
    list: sqlite3.Connection
    lock: Lock = field(default_factory=Lock)
    list_lock: Lock = field(default_factory=Lock)
    summed: bool = False
    listed: bool = False

    def __del__(self) -> None:
        self.all.close()
        self.list.close()


def ask(export: Export, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function with the sums of the export; call it in a worker thread."""
    found = _sums(export)
    with found.lock:
        if not found.summed:
            make(found.all)
            found.summed = True
        return fn(found.all)


def ask_list(export: Export, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function that needs no sums but the list of sessions.

    While the others are being made, it does not wait for them.
    """
    found = _sums(export)
    if found.summed:
        return ask(export, fn)
    with found.list_lock:
        if not found.listed:
            start(found.list)
            sums.list_sessions(found.list)
            found.listed = True
        return fn(found.list)


def counted(export: Export) -> bool:
    """Whether the sums are made."""
    return _sums(export).summed


def kept(export: Export, key: Hashable, fn: Callable[[sqlite3.Connection], T]) -> T:
    """What the sums say, once for each key."""
    return export.keep("sums of", MOST, key, lambda: ask(export, fn))


def kept_list(
    export: Export, key: Hashable, fn: Callable[[sqlite3.Connection], T]
) -> T:
    """The same of what needs only the list of sessions."""
    return export.keep("sums of", MOST, key, lambda: ask_list(export, fn))


def _sums(export: Export) -> _Sums:
    with _MAKING:
        return export.keep(
            "sums", 1, "", lambda: _Sums(export.connect(), export.connect())
        )


def start(connection: sqlite3.Connection) -> None:
    """Give a connection an empty memory for the sums, beside the export's tables."""
    connection.row_factory = sqlite3.Row
    connection.isolation_level = None
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
