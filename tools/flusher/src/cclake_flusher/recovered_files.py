"""Recover the checkpoints of a lost buffer's files from MongoDB.

Without them, the tailer would take a renamed file for a new one, and archive its lines
a second time.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import orjson
from cclake_archive.checkpoints import FILES
from cclake_archive.client import connect
from cclake_common.sqlite import connect_readonly

KNOWN_WAIT_S = 1.0
# Each file is read again from its start. MongoDB refuses the lines that it has, and
# those that only the lost buffer had, queued or dead, are archived again. `head` stays,
# to check that the file still begins with the same bytes.
UNREAD = {
    "gen": 0, "off": 0, "size": 0, "tail_len": 0, "tail": "", "mtime_ns": 0,
    "unended": 0, "former": True,
}  # fmt: skip


def checkpoints(
    uri: str, database: str, host: str, buffer: Path, wait_s: float
) -> Iterator[bytes]:
    """Yield records of a host's files that MongoDB has from other buffers.

    Args:
        uri: Address of MongoDB.
        database: Name of the database.
        host: The host.
        buffer: The buffer whose own files are left out; it may not exist.
        wait_s: Maximum seconds to wait for MongoDB; at most one if the buffer has
            files, because little can be missing then.

    Raises:
        PyMongoError: MongoDB can't be reached, or refuses.
        Failure: The address cannot be used.
    """
    name, knows_files = _look(buffer)
    wait_ms = int(1000 * (min(wait_s, KNOWN_WAIT_S) if knows_files else wait_s))
    with connect(
        uri,
        "checkpoints",
        serverSelectionTimeoutMS=wait_ms,
        connectTimeoutMS=wait_ms,
        socketTimeoutMS=30_000,
    ) as client:
        wanted = {"host": host, "buffer": {"$ne": name}}
        for found in client[database][FILES].find(wanted):
            yield record(found)


def record(found: dict[str, object]) -> bytes:
    """Return a document of `files` as the checkpoint of an unread file."""
    kept = orjson.loads(str(found.get("checkpoint") or "{}"))
    place = {name: found[name] for name in ("host", "root", "path", "state")}
    return orjson.dumps(
        {"kind": "checkpoint", "file": found["_id"]} | kept | place | UNREAD
    )


def _look(buffer: Path) -> tuple[str, bool]:
    """Return the id of a buffer, and whether it has any file."""
    try:
        with contextlib.closing(connect_readonly(buffer)) as connection:
            row = connection.execute(
                "select value, exists(select 1 from files) from meta"
                " where name = 'buffer_id'"
            ).fetchone()
    except sqlite3.Error:
        row = None
    return (str(row[0]), bool(row[1])) if row else ("", False)
