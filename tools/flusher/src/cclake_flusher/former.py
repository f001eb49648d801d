"""The files that MongoDB knows, for a tailer whose buffer does not know them.

A buffer that was lost takes the names of its files with it: one that was renamed
meanwhile would be taken for a new one, and its lines would come a second time.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import orjson
from pymongo import MongoClient

KNOWN_WAIT_S = 1.0
# Each file is read again from its start: MongoDB refuses the lines that it has, and
# those that the lost buffer had alone, queued or dead, come back. `head` stays: it
# tells whether the file still begins as it did.
UNREAD = {
    "gen": 0, "off": 0, "size": 0, "tail_len": 0, "tail": "", "mtime_ns": 0,
    "unended": 0, "former": True,
}  # fmt: skip


def checkpoints(
    uri: str, database: str, host: str, buffer: Path, wait_s: float
) -> Iterator[bytes]:
    """The files of a host that MongoDB has from other buffers, as records.

    Args:
        uri: Address of MongoDB.
        database: Its database.
        host: The host.
        buffer: The buffer whose own files are left out; there may be none.
        wait_s: Longest wait for MongoDB; a second at most where the buffer knows
            files, since little can be missing there.

    Raises:
        PyMongoError: MongoDB can't be reached, or refuses.
        ValueError: The address is wrong.
    """
    name, knows_files = _look(buffer)
    wait_ms = int(1000 * (min(wait_s, KNOWN_WAIT_S) if knows_files else wait_s))
    with MongoClient[dict[str, object]](
        uri,
        appname="cclake-checkpoints",
        serverSelectionTimeoutMS=wait_ms,
        connectTimeoutMS=wait_ms,
        socketTimeoutMS=30_000,
    ) as client:
        wanted = {"host": host, "buffer": {"$ne": name}}
        for found in client[database]["files"].find(wanted):
            yield record(found)


def record(found: dict[str, object]) -> bytes:
    """A document of `files` as the checkpoint of a file that is yet to be read."""
    kept = orjson.loads(str(found.get("checkpoint") or "{}"))
    place = {name: found[name] for name in ("host", "root", "path", "state")}
    return orjson.dumps(
        {"kind": "checkpoint", "file": found["_id"]} | kept | place | UNREAD
    )


def _look(buffer: Path) -> tuple[str, bool]:
    """The id of a buffer, and whether it knows any file."""
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(f"{buffer.absolute().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(connection):
            row = connection.execute(
                "select value, exists(select 1 from files) from meta"
                " where name = 'buffer_id'"
            ).fetchone()
            if row:
                return str(row[0]), bool(row[1])
    return "", False
