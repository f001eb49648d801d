"""Cache earlier proofs in `verify.db`, so that the quick proof reads only new bytes.

If the file is lost, the next run proves everything again.
"""

import sqlite3
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from cclake_common.failure import Failure

from cclake_verify.checksums import Checksum
from cclake_verify.disk import FileState

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
    """The proof of a file.

    Attributes:
        gen: The generation that was proven.
        off: Every byte before this offset is proven.
        resume: Offset of the last line, which may still get its newline.
        pieces: Number of documents before `resume`.
        digest: Chained hash of their `_id`s.
        size: Size of the file at that time; -1 if it did not exist.
        inode: Its inode at that time.
        mtime_ns: Its mtime at that time.
        ctime_ns: Its ctime at that time.
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

    def untouched(self, state: FileState | None) -> bool:
        """Return whether the file still has the state that it had then."""
        now = astuple(state) if state else (-1, -1, -1, -1)
        return now == (self.size, self.inode, self.mtime_ns, self.ctime_ns)


class ProofCache:
    """The proofs of one archive, which is a database of a MongoDB server."""

    def __init__(self, path: Path, archive: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.archive = archive
        try:
            self._db = sqlite3.connect(path, timeout=30)
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise Failure(
                f"cannot use {path}: {error}",
                "Delete it: it is only a cache of earlier proofs.",
            ) from error

    def files(self) -> dict[str, Proven]:
        """Return all proofs of files, by file key."""
        names = ", ".join(field.name for field in fields(Proven))
        rows = self._db.execute(
            f"select file, {names} from files where archive = ?", (self.archive,)
        )
        return {row[0]: Proven(*row[1:]) for row in rows}

    def store_proof(self, file: str, proven: Proven) -> None:
        """Store the proof of a file."""
        self._put("files", {"file": file, **asdict(proven)})

    def sum(self, store: str, source: str) -> Checksum:
        """Return the earlier checksum of a store; an empty one at first."""
        row = self._db.execute(
            "select reached, entries, parts, digest from sums"
            " where archive = ? and store = ? and source = ?",
            (self.archive, store, source),
        ).fetchone()
        return Checksum(row[0], row[1], row[2], int(row[3])) if row else Checksum()

    def store_sum(self, store: str, source: str, value: Checksum) -> None:
        """Store the checksum of a store."""
        row = asdict(value) | {"digest": str(value.digest)}
        self._put("sums", {"store": store, "source": source, **row})

    def save(self) -> None:
        """Commit everything that was stored."""
        self._db.commit()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _put(self, table: str, values: dict[str, object]) -> None:
        row = {"archive": self.archive, **values}
        marks = ", ".join("?" * len(row))
        self._db.execute(
            f"insert or replace into {table} ({', '.join(row)}) values ({marks})",
            tuple(row.values()),
        )
