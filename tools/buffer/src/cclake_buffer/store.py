"""Commit lines and their checkpoints together: the heart of the buffer."""

import os
import sqlite3
import time
from operator import attrgetter
from pathlib import Path

from cclake_buffer import schema
from cclake_buffer.fault import point
from cclake_buffer.pending import Pending

INSERT_LINE = """
insert into queue (host, path, file, gen, off, len, kind, body, at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A checkpoint never goes back: what an old copy of the pipe repeats is only a repeat.
UPSERT_CHECKPOINT = """
insert into files (file, host, root, path, gen, off, size, state, checkpoint, at, seq)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (file) do update set
    host = excluded.host, root = excluded.root, path = excluded.path,
    gen = excluded.gen, off = excluded.off, size = excluded.size,
    state = excluded.state, checkpoint = excluded.checkpoint, at = excluded.at,
    seq = max(seq, excluded.seq), delivered = 0
where (excluded.gen, excluded.off) >= (gen, off)
"""
REPEATED = "update files set seq = max(seq, ?) where file = ?"
ENVELOPE = ("file", "host", "root", "path", "gen", "off", "size", "state")
ADD = "update counters set value = value + ? where name = ?"


class Store:
    """The writing end of the buffer.

    Attributes:
        path: The SQLite file.
        connection: Its connection; transactions are explicit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = schema.create(path)
        self._identity = _identity(path)
        self._known: dict[str, tuple[int, int]] = {}

    def is_moved(self) -> bool:
        """Whether the file has been deleted or replaced since it was opened."""
        return _identity(self.path) != self._identity

    def known(self, file: str) -> tuple[int, int]:
        """Generation and offset of a file that the buffer has; (0, 0) if none."""
        if file not in self._known:
            found = self.connection.execute(
                "select gen, off from files where file = ?", (file,)
            ).fetchone()
            self._known[file] = found or (0, 0)
        return self._known[file]

    def saw(self, file: str, gen: int, off: int) -> None:
        """Remember a position that stands in the transaction to come."""
        self._known[file] = max(self.known(file), (gen, off))

    def commit(self, pending: Pending) -> None:
        """Commit the lines that have their checkpoint, and the checkpoints.

        Raises:
            sqlite3.Error: Nothing has been committed; it can be tried again.
        """
        now = time.time()
        execute = self.connection.execute
        execute("begin immediate")
        try:
            self.connection.executemany(
                INSERT_LINE, [(*line, now) for line in pending.rows]
            )
            last = execute("select max(seq) from queue").fetchone()[0] or 0
            self._write_checkpoints(pending, now, last)
            execute(ADD, (len(pending.rows), "lines_read"))
            execute(ADD, (pending.bytes_read, "bytes_read"))
            point("before_commit")
            execute("commit")
        except BaseException:
            self.rollback()
            raise
        point("after_commit")

    def _write_checkpoints(self, pending: Pending, now: float, last: int) -> None:
        envelope = attrgetter(*ENVELOPE)
        values = [
            (*envelope(record), text.decode(), now, last)
            for record, text in pending.checkpoints.values()
        ]
        self.connection.executemany(UPSERT_CHECKPOINT, values)
        self.connection.executemany(REPEATED, [(last, value[0]) for value in values])

    def rollback(self) -> None:
        """End a transaction that failed; SQLite may have done so already."""
        if self.connection.in_transaction:
            try:
                self.connection.execute("rollback")
            except sqlite3.Error:
                self.connection.close()
                self.connection = schema.connect(self.path)

    def set_meta(self, name: str, value: object) -> None:
        """Keep a value that others may read, such as the tailer's numbers."""
        self.connection.execute(
            "insert or replace into meta values (?, ?)", (name, value)
        )

    def close(self) -> None:
        """Close the connection; the last one folds the WAL into the file."""
        self.connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
