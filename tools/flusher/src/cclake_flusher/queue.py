"""The flusher's side of the buffer: read the queue, delete what is acknowledged."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from cclake_flusher.documents import Line
from cclake_flusher.fault import point

READ = """
select seq, host, path, file, gen, off, len, kind, at, body,
(select root from files where files.file = queue.file)
from queue where seq > ? order by seq limit ?
"""
UNDELIVERED = """
select file, host, root, path, gen, off, size, state, checkpoint
from files where delivered = 0 and seq <= ? order by seq limit 1000
"""
BURY = """
insert into dead_letters
(seq, host, path, file, gen, off, len, kind, reason, code, attempts, at, body)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# Nothing is lost when a deletion is: the rows come again, and are refused.
PRAGMAS = """
pragma synchronous = normal;
pragma secure_delete = off;
pragma wal_autocheckpoint = 256;
pragma journal_size_limit = 67108864;
pragma busy_timeout = 30000;
"""


@dataclass
class DeadLetter:
    """A line that MongoDB will not take."""

    line: Line
    reason: str
    code: int | None
    attempts: int


@dataclass
class Outcome:
    """What became of the lines of a batch."""

    delivered: int = 0
    duplicates: int = 0
    dead: list[DeadLetter] = field(default_factory=list)


@dataclass
class Checkpoint:
    """A row of `files` that MongoDB does not have yet."""

    file: str
    host: str
    root: str | None
    path: str
    gen: int
    off: int
    size: int | None
    state: str | None
    text: str
    base: int = 0

    @property
    def former(self) -> bool:
        """Whether MongoDB knows more of it: nothing has been read of it since."""
        return bool(orjson.loads(self.text).get("former"))

    @property
    def generation(self) -> int:
        """Its generation in MongoDB."""
        return self.base + self.gen


class Queue:
    """One open buffer.

    Attributes:
        buffer: The id of this buffer.
        acked: Every row up to this `seq` is in MongoDB or dead. It lives in
            memory, so that a disk too full to delete from stops nothing.
        marked: The watermark in MongoDB is known to say this much; 0 at first, so
            that what an earlier process left undone is made good.
    """

    def __init__(self, path: Path) -> None:
        """Open a buffer that exists.

        Raises:
            sqlite3.Error: There is none yet, or it is damaged.
        """
        self.path = path
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._connection.executescript(PRAGMAS)
            self.buffer = self._meta("buffer_id")
            self.acked = self._delivered_before()
            self.marked = 0
        except BaseException:
            self._connection.close()
            raise
        self._identity = _identity(path)
        self._owed = Outcome()

    def _meta(self, name: str) -> str:
        row = self._connection.execute("select value from meta where name = ?", (name,))
        return str(row.fetchone()[0])

    def _delivered_before(self) -> int:
        """Rows leave in order: what lies before the first one is acknowledged."""
        first = self._connection.execute("select min(seq) from queue").fetchone()[0]
        if first is not None:
            return int(first) - 1
        last = self._connection.execute(
            "select seq from sqlite_sequence where name = 'queue'"
        ).fetchone()
        return int(last[0]) if last else 0

    def is_replaced(self) -> bool:
        """Whether another file, or none, stands at the path now."""
        return _identity(self.path) != self._identity

    def read(self, count: int, size: int) -> list[Line]:
        """The next rows: at most `count`, and not many more than `size` bytes."""
        cursor = self._connection.execute(READ, (self.acked, count))
        lines: list[Line] = []
        total = 0
        for row in cursor:
            lines.append(Line(*row))
            total += len(row[9])
            if total >= size:
                break
        # An open cursor would pin the WAL, and it would grow without bound.
        cursor.close()
        return lines

    def acknowledge(self, last: int, outcome: Outcome) -> None:
        """Take note that all rows up to `last` are in MongoDB, or dead."""
        self.acked = last
        self._owed.delivered += outcome.delivered
        self._owed.duplicates += outcome.duplicates
        self._owed.dead += outcome.dead

    @property
    def owes(self) -> bool:
        """Whether acknowledged rows could not be deleted yet."""
        return bool(self._owed.delivered or self._owed.duplicates or self._owed.dead)

    def settle(self) -> None:
        """Delete acknowledged rows, bury the dead and count, in one transaction.

        Raises:
            sqlite3.Error: Nothing has changed; try again later.
        """
        point("before_delete")
        execute = self._connection.execute
        with self._transaction():
            self._bury()
            execute("delete from queue where seq <= ?", (self.acked,))
            counted = (
                (self._owed.delivered, "delivered"),
                (self._owed.duplicates, "duplicates"),
                (len(self._owed.dead), "dead"),
            )
            for value, name in counted:
                if value:
                    execute(
                        "update counters set value = value + ? where name = ?",
                        (value, name),
                    )
        self._owed = Outcome()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; after an error the connection can be used again."""
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("rollback")
            raise

    def _bury(self) -> None:
        now = time.time()
        for letter in self._owed.dead:
            line = letter.line
            where = (line.seq, line.host, line.path, line.file, line.gen, line.off)
            why = (letter.reason, letter.code, letter.attempts, now)
            self._connection.execute(
                BURY, (*where, line.len, line.kind, *why, line.body)
            )

    def undelivered(self) -> list[Checkpoint]:
        """Checkpoints that MongoDB lacks, and whose lines it has."""
        rows = self._connection.execute(UNDELIVERED, (self.acked,)).fetchall()
        return [Checkpoint(*row) for row in rows]

    def mark_delivered(self, checkpoints: list[Checkpoint]) -> None:
        """Note that MongoDB has these, unless newer ones have come meanwhile."""
        with self._transaction():
            self._connection.executemany(
                "update files set delivered = 1 where file = ? and checkpoint = ?",
                [(each.file, each.text) for each in checkpoints],
            )

    def bases(self) -> dict[str, int]:
        """Of files that an older buffer had: what is added to their generations."""
        rows = self._connection.execute("select file, base from generations")
        return dict(rows.fetchall())

    def keep_bases(self, bases: dict[str, int]) -> None:
        """Remember bases for ever: documents will carry them."""
        self._connection.execute("pragma synchronous = full")
        self._connection.execute("begin immediate")
        self._connection.executemany(
            "insert or replace into generations values (?, ?)", bases.items()
        )
        self._connection.execute("commit")
        self._connection.execute("pragma synchronous = normal")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
