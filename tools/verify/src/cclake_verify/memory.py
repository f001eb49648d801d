"""What was proven before, in `verify.db`, so that an hourly run reads only the new.

Losing this file costs time, never truth: the next run proves everything again.
"""

import sqlite3
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from cclake_common.failure import Failure

from cclake_verify.disk import Look

SCHEMA = """
create table if not exists files (
    archive text, file text, gen integer, off integer, resume integer, pieces integer,
    digest text, size integer, inode integer, mtime_ns integer, ctime_ns integer,
    primary key (archive, file)
);
create table if not exists sums (
    archive text, store text, source text, reached integer, entries integer,
    parts integer, digest text, primary key (archive, store, source)
);
"""


@dataclass(frozen=True, slots=True)
class Proven:
    """What is proven of a file.

    Attributes:
        gen: Generation that it was proven in.
        off: Every byte before it is proven.
        resume: Where the last line begins: it may still get its newline.
        pieces: Documents before `resume`.
        digest: Hash of their `_id`s, each taken with the one before.
        size: With the rest: the file's look at that time; -1 when it was not there.
    """

    gen: int
    off: int
    resume: int
    pieces: int
    digest: str
    size: int = -1
    inode: int = -1
    mtime_ns: int = -1
    ctime_ns: int = -1

    def untouched(self, look: Look | None) -> bool:
        """Whether the file still looks as it did."""
        now = astuple(look) if look else (-1, -1, -1, -1)
        return now == (self.size, self.inode, self.mtime_ns, self.ctime_ns)


@dataclass(frozen=True, slots=True)
class Sum:
    """Entries of a store up to a point: how many, and a hash without order.

    Attributes:
        reached: The point: a sequence number or an extraction run.
        entries: Physical lines.
        parts: Records that were salvaged from broken lines.
        digest: Sum of the 64-bit hashes of all identities, modulo 2^64.
    """

    reached: int = 0
    entries: int = 0
    parts: int = 0
    digest: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        """Both together, as far as the further of the two."""
        return Sum(
            max(self.reached, other.reached),
            self.entries + other.entries,
            self.parts + other.parts,
            (self.digest + other.digest) % 2**64,
        )

    def same_entries(self, other: "Sum") -> bool:
        """Whether both hold the same entries, wherever each got to."""
        return (self.entries, self.parts, self.digest) == (
            other.entries,
            other.parts,
            other.digest,
        )


class Memory:
    """The proofs of one archive, which is a MongoDB server and database."""

    def __init__(self, path: Path, archive: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.archive = archive
        try:
            self._db = sqlite3.connect(path, timeout=30)
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise Failure(
                f"{path} cannot be used: {error}",
                "Delete it: it only remembers what was proven before.",
            ) from error

    def files(self) -> dict[str, Proven]:
        """What is proven, by file key."""
        names = ", ".join(field.name for field in fields(Proven))
        rows = self._db.execute(
            f"select file, {names} from files where archive = ?", (self.archive,)
        )
        return {row[0]: Proven(*row[1:]) for row in rows}

    def remember(self, file: str, proven: Proven) -> None:
        """Keep the proof of a file."""
        self._put("files", {"file": file, **asdict(proven)})

    def sum(self, store: str, source: str) -> Sum:
        """What was summed up of a store before; nothing at first."""
        row = self._db.execute(
            "select reached, entries, parts, digest from sums"
            " where archive = ? and store = ? and source = ?",
            (self.archive, store, source),
        ).fetchone()
        return Sum(row[0], row[1], row[2], int(row[3])) if row else Sum()

    def remember_sum(self, store: str, source: str, value: Sum) -> None:
        """Keep the sum of a store."""
        row = asdict(value) | {"digest": str(value.digest)}
        self._put("sums", {"store": store, "source": source, **row})

    def save(self) -> None:
        """Write everything that was remembered."""
        self._db.commit()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _put(self, table: str, values: dict[str, object]) -> None:
        row = {"archive": self.archive, **values}
        marks = ", ".join("?" * len(row))
        self._db.execute(
            f"insert or replace into {table} ({', '.join(row)}) values ({marks})",
            tuple(row.values()),
        )
