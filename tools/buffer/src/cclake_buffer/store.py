"""Commit lines and their checkpoints in one transaction."""

import sqlite3
import time
from operator import attrgetter
from pathlib import Path

from cclake_common.failpoint import failpoint
from cclake_common.sqlite import file_identity

from cclake_buffer import schema
from cclake_buffer.batch import Batch

INSERT_LINE = """
insert into queue (host, path, file, gen, off, len, kind, body, at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A checkpoint never moves backwards, even if a tailer with old positions repeats lines.
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
    """The buffer, opened for writing.

    Attributes:
        path: The SQLite file.
        connection: Its connection; transactions are explicit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = schema.create(path)
        self._identity = file_identity(path)
        self._positions: dict[str, tuple[int, int]] = {}

    def is_moved(self) -> bool:
        """Return whether the file was deleted or replaced since it was opened."""
        return file_identity(self.path) != self._identity

    def position(self, file: str) -> tuple[int, int]:
        """Return up to which generation and offset the buffer has a file."""
        if file not in self._positions:
            found = self.connection.execute(
                "select gen, off from files where file = ?", (file,)
            ).fetchone()
            self._positions[file] = found or (0, 0)
        return self._positions[file]

    def set_position(self, file: str, gen: int, off: int) -> None:
        """Remember a position that the next transaction will commit."""
        self._positions[file] = max(self.position(file), (gen, off))

    def commit(self, batch: Batch) -> None:
        """Commit the lines that have their checkpoint, and the checkpoints.

        Raises:
            sqlite3.Error: Nothing was committed; the caller can try again.
        """
        now = time.time()
        execute = self.connection.execute
        execute("begin immediate")
        try:
            self.connection.executemany(
                INSERT_LINE, [(*line, now) for line in batch.rows]
            )
            last = execute("select max(seq) from queue").fetchone()[0] or 0
            self._write_checkpoints(batch, now, last)
            execute(ADD, (len(batch.rows), "lines_read"))
            execute(ADD, (batch.bytes_read, "bytes_read"))
            failpoint("before_commit")
            execute("commit")
        except BaseException:
            self.rollback()
            raise
        failpoint("after_commit")

    def _write_checkpoints(self, batch: Batch, now: float, last: int) -> None:
        envelope = attrgetter(*ENVELOPE)
        values = [
            (*envelope(record), text.decode(), now, last)
            for record, text in batch.checkpoints.values()
        ]
        self.connection.executemany(UPSERT_CHECKPOINT, values)
        self.connection.executemany(REPEATED, [(last, value[0]) for value in values])

    def rollback(self) -> None:
        """End a failed transaction, unless SQLite has done so already."""
        if self.connection.in_transaction:
            try:
                self.connection.execute("rollback")
            except sqlite3.Error:
                self.connection.close()
                self.connection = schema.connect(self.path)

    def set_meta(self, name: str, value: object) -> None:
        """Store a value for other processes, such as the tailer's stats."""
        self.connection.execute(
            "insert or replace into meta values (?, ?)", (name, value)
        )

    def close(self) -> None:
        """Close the connection; SQLite merges the WAL into the file at the last one."""
        self.connection.close()
