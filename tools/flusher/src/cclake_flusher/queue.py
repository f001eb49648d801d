"""Read the buffer's queue, and delete rows that MongoDB has acknowledged."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from cclake_common.failpoint import failpoint
from cclake_common.sqlite import file_identity

from cclake_flusher.documents import Line
from cclake_flusher.state import State

READ = """
select seq, host, path, file, gen, off, len, kind, at, body,
(select root from files where files.file = queue.file)
from queue where seq > ? order by seq limit ?
"""
UNDELIVERED = """
select file, host, root, path, gen, off, size, state, checkpoint
from files where delivered = 0 and seq <= ? order by seq limit 1000
"""
INSERT_DEAD = """
insert into dead_letters
(seq, host, path, file, gen, off, len, kind, reason, code, attempts, at, body)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A lost deletion does no harm: the rows are sent again, and MongoDB refuses them.
PRAGMAS = """
pragma synchronous = normal;
pragma fullfsync = on;
pragma secure_delete = off;
pragma wal_autocheckpoint = 256;
pragma journal_size_limit = 67108864;
pragma busy_timeout = 30000;
"""


DISK_FULL = "the disk is full: acknowledged lines stay for now"
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass
class DeadLetter:
    """A line that MongoDB refuses."""

    line: Line
    reason: str
    code: int | None
    attempts: int


@dataclass
class Outcome:
    """The outcome for the lines of a batch."""

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
        """Return whether only MongoDB knows the file: nothing was read of it since."""
        return bool(orjson.loads(self.text).get("former"))

    @property
    def generation(self) -> int:
        """Return its generation in MongoDB."""
        return self.base + self.gen


class Queue:
    """One open buffer.

    Attributes:
        buffer: The id of this buffer.
        acked: Every row up to this `seq` is in MongoDB or dead. It is kept in memory,
            so that delivery continues on a disk that is too full to delete from.
        watermark: The watermark in MongoDB is at least this. It is 0 at first, so that
            the first call completes what an earlier process may have left undone.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing buffer.

        Raises:
            sqlite3.Error: It does not exist, or is damaged.
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
            self.watermark = 0
        except BaseException:
            self._connection.close()
            raise
        self._identity = file_identity(path)
        self._acknowledged = Outcome()

    def _meta(self, name: str) -> str:
        row = self._connection.execute("select value from meta where name = ?", (name,))
        return str(row.fetchone()[0])

    def _delivered_before(self) -> int:
        """Return the last deleted `seq`: rows are deleted in order, so it is acked."""
        first = self._connection.execute("select min(seq) from queue").fetchone()[0]
        if first is not None:
            return int(first) - 1
        last = self._connection.execute(
            "select seq from sqlite_sequence where name = 'queue'"
        ).fetchone()
        return int(last[0]) if last else 0

    def is_replaced(self) -> bool:
        """Return whether the file at the path is missing or another one now."""
        return file_identity(self.path) != self._identity

    def read(self, count: int, size: int) -> list[Line]:
        """Return the next rows: at most `count`, and about `size` bytes."""
        cursor = self._connection.execute(READ, (self.acked, count))
        lines: list[Line] = []
        total = 0
        for row in cursor:
            lines.append(Line(*row))
            total += len(row[9])
            if total >= size:
                break
        # An open cursor would keep the WAL from being reset: it would grow forever.
        cursor.close()
        return lines

    def acknowledge(self, last: int, outcome: Outcome) -> None:
        """Record that all rows up to `last` are in MongoDB or dead."""
        self.acked = last
        self._acknowledged.delivered += outcome.delivered
        self._acknowledged.duplicates += outcome.duplicates
        self._acknowledged.dead += outcome.dead

    @property
    def has_acknowledged(self) -> bool:
        """Return whether there are acknowledged rows that are not deleted yet."""
        return bool(
            self._acknowledged.delivered
            or self._acknowledged.duplicates
            or self._acknowledged.dead
        )

    def delete_acknowledged(self) -> None:
        """Delete acknowledged rows, store dead letters and count, in one transaction.

        Raises:
            sqlite3.Error: Nothing was changed; the caller can try again.
        """
        failpoint("before_delete")
        execute = self._connection.execute
        with self._transaction():
            self._insert_dead()
            execute("delete from queue where seq <= ?", (self.acked,))
            counted = (
                (self._acknowledged.delivered, "delivered"),
                (self._acknowledged.duplicates, "duplicates"),
                (len(self._acknowledged.dead), "dead"),
            )
            for value, name in counted:
                if value:
                    execute(
                        "update counters set value = value + ? where name = ?",
                        (value, name),
                    )
        self._acknowledged = Outcome()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run a transaction; roll it back after an error."""
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("rollback")
            raise

    def _insert_dead(self) -> None:
        now = time.time()
        for letter in self._acknowledged.dead:
            line = letter.line
            where = (line.seq, line.host, line.path, line.file, line.gen, line.off)
            why = (letter.reason, letter.code, letter.attempts, now)
            self._connection.execute(
                INSERT_DEAD, (*where, line.len, line.kind, *why, line.body)
            )

    def undelivered(self) -> list[Checkpoint]:
        """Return the checkpoints that MongoDB lacks but whose lines it has."""
        rows = self._connection.execute(UNDELIVERED, (self.acked,)).fetchall()
        return [Checkpoint(*row) for row in rows]

    def mark_delivered(self, checkpoints: list[Checkpoint]) -> None:
        """Record that MongoDB has these, unless newer ones have been stored since."""
        with self._transaction():
            self._connection.executemany(
                "update files set delivered = 1 where file = ? and checkpoint = ?",
                [(each.file, each.text) for each in checkpoints],
            )

    def bases(self) -> dict[str, int]:
        """Return what is added to the generations of files, by file key."""
        rows = self._connection.execute("select file, base from generations")
        return dict(rows.fetchall())

    def store_bases(self, bases: dict[str, int]) -> None:
        """Store bases durably, because documents will contain them."""
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


def delete_acknowledged(queue: Queue, state: State) -> None:
    """Delete acknowledged rows; on a full disk, delete the reserve file first.

    If that does not help, the rows stay for now. Delivery continues after them, and a
    later call deletes them.

    Raises:
        sqlite3.Error: The deletion failed for another reason.
    """
    if _unless_full(queue.delete_acknowledged):
        state.buffer_problem = ""
        return
    with contextlib.suppress(OSError):
        Path(f"{queue.path}.ballast").unlink()
    state.buffer_problem = "" if _unless_full(queue.delete_acknowledged) else DISK_FULL


def mark_delivered(queue: Queue, checkpoints: list[Checkpoint], state: State) -> None:
    """Record which checkpoints MongoDB has; on a full disk they are sent again."""
    if not _unless_full(lambda: queue.mark_delivered(checkpoints)):
        state.buffer_problem = DISK_FULL


def _unless_full(work: Callable[[], None]) -> bool:
    try:
        work()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
            raise
        return False
    return True


def mark_suspect(path: Path, error: sqlite3.Error) -> None:
    """Ask `buffer append` to check its file, if this error means that it is damaged."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
        with contextlib.suppress(OSError):
            Path(f"{path}.suspect").touch()
