"""Compare every complete line that was written with the archive."""

import sqlite3
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
from gridfs import GridFSBucket
from pymongo.database import Database

Store = Database[dict[str, Any]]


def file_key(host: str, path: str) -> str:
    """The key of a file at its first sight, as docs/contracts.md says."""
    return blake2b(f"{host}\0{path}".encode(), digest_size=8).hexdigest()


def line_id(key: str, off: int, body: bytes) -> bytes:
    """The `_id` of a line's document, as docs/contracts.md says."""
    digest = blake2b(body, digest_size=8).digest()
    return bytes.fromhex(key) + off.to_bytes(8, "big") + digest


def line_bytes(database: Store, document: dict[str, Any]) -> bytes:
    """The bytes of a document's line, without the newline."""
    if "raw_file" in document:
        bucket = GridFSBucket(database, bucket_name="raw")
        with bucket.open_download_stream(document["raw_file"]) as stream:
            return bytes(stream.read())
    if "raw" in document:
        return bytes(document["raw"])
    return orjson.dumps(document["entry"])


@dataclass
class Verdict:
    """The lines that the archive lacks, and those in it that nobody wrote."""

    lost: set[bytes]
    unexpected: set[bytes]
    damaged: list[bytes]
    dead: int

    def __str__(self) -> str:
        return (
            f"{len(self.lost)} lost, {len(self.unexpected)} unexpected, "
            f"{len(self.damaged)} damaged, {self.dead} dead"
        )


@dataclass
class Ledger:
    """Write log files, and record each complete line by file, offset and bytes.

    Attributes:
        root: The folder of the logs.
        host: The host that the tailer names.
        expected: The `_id` of every complete line that was ever on disk.
    """

    root: Path
    host: str = "testhost"
    expected: set[bytes] = field(default_factory=set)
    keys: dict[str, str] = field(default_factory=dict)

    def append(self, path: str, *bodies: bytes) -> None:
        """Append complete lines to a file."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            off = file.tell()
            self.note(path, off, *bodies)
            file.write(b"".join(body + b"\n" for body in bodies))

    def note(self, path: str, off: int, *bodies: bytes) -> None:
        """Note lines that stand in a file from an offset on."""
        key = self.keys.setdefault(path, file_key(self.host, path))
        for body in bodies:
            self.expected.add(line_id(key, off, body))
            off += len(body) + 1

    def renamed(self, old: str, new: str) -> None:
        """Rename a file; it keeps its key."""
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(self.root / new)
        self.keys[new] = self.keys.pop(old)

    def missing(self, database: Store) -> int:
        """Return the number of lines that are not in MongoDB yet; cheap enough to poll."""
        return len(self.expected - _ids(database))

    def check(self, database: Store, buffer: Path | None = None) -> Verdict:
        """Compare everything: nothing lost, nothing twice, all bytes equal.

        A line that stands among the dead letters with its bytes is not lost.
        """
        got = _ids(database)
        dead = _dead_letters(buffer) if buffer else set()
        damaged = [
            bytes(document["_id"])
            for document in database["conversations"].find()
            if bytes(document["_id"])[16:]
            != blake2b(line_bytes(database, document), digest_size=8).digest()
        ]
        lost = self.expected - got - dead
        return Verdict(lost, got - self.expected, damaged, len(dead))

    def assert_exact(self, database: Store, buffer: Path | None = None) -> None:
        """0 lost, 0 duplicated, bytes equal."""
        verdict = self.check(database, buffer)
        assert not (verdict.lost or verdict.unexpected or verdict.damaged), str(verdict)


def _ids(database: Store) -> set[bytes]:
    return {
        bytes(each["_id"]) for each in database["conversations"].find({}, {"_id": 1})
    }


def _dead_letters(buffer: Path) -> set[bytes]:
    connection = sqlite3.connect(buffer)
    try:
        rows = connection.execute("select file, off, body from dead_letters").fetchall()
    finally:
        connection.close()
    return {line_id(file, off, bytes(body)) for file, off, body in rows}
