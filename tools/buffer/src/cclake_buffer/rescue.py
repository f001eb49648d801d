"""What can still be read of a damaged buffer goes into the new one.

Nearly always the logs hold it too, and it is refused by MongoDB as a repeat. But
logs get deleted, and then the queue held the only copy.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cclake_buffer import schema

ROWS = """
select seq, host, path, file, off, len, kind, at, body from queue
where seq {} ? order by seq {}
"""
# The tailer counts generations from 0 again: these lines are older than that.
INSERT = """
insert into queue (host, path, file, gen, off, len, kind, at, body)
values (?, ?, ?, -1, ?, ?, ?, ?, ?)
"""


Rescued = tuple[str, str, str, int, int, str, float, bytes]


def rescue(damaged: Path, new: Path) -> int:
    """Copy the queue of a damaged buffer, as far as it can be read.

    Returns:
        The number of lines rescued.
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
    return count


def _readable(source: sqlite3.Connection) -> Iterator[Rescued]:
    """Rows from the front up to the damage, then from the back up to it."""
    seen = 0
    for row in _walk(source, ROWS.format(">", "asc"), 0):
        seen = row[0]
        yield row[1:]
    behind = []
    for row in _walk(source, ROWS.format("<", "desc"), 1 << 62):
        if row[0] <= seen:
            break
        behind.append(row[1:])
    yield from reversed(behind)


def _walk(source: sqlite3.Connection, sql: str, start: int) -> Iterator[Any]:
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from source.execute(sql, (start,))
