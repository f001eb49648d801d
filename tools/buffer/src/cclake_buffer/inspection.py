"""Read the buffer without changing it."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from cclake_buffer import schema


def checkpoints(path: Path, host: str | None = None) -> list[bytes]:
    """Return the committed checkpoint records, verbatim; none without a buffer.

    All are read before this returns, so that a slow consumer does not keep a read
    transaction open.

    Raises:
        sqlite3.Error: The buffer is damaged.
    """
    connection = schema.connect_readonly(path)
    if connection is None:
        return []
    where = "where host = ?" if host is not None else ""
    with _Closing(connection):
        connection.text_factory = bytes
        found = connection.execute(
            f"select checkpoint from files {where} order by rowid",
            (host,) if host is not None else (),
        ).fetchall()
    return [row[0] for row in found]


def status(path: Path) -> dict[str, Any]:
    """Return the state of the buffer, in counts, bytes and seconds."""
    connection = schema.connect_readonly(path)
    if connection is None:
        return {"path": str(path), "exists": False, "pending": 0}
    with _Closing(connection):
        return {"path": str(path), "exists": True} | _numbers(connection, path)


def _numbers(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    connection.execute("begin")

    def value(sql: str) -> Any:
        return connection.execute(sql).fetchone()[0]

    counters = dict(connection.execute("select name, value from counters"))
    meta = dict(connection.execute("select name, value from meta"))
    pending = value("select count(*) from queue")
    oldest = value("select at from queue order by seq limit 1") if pending else None
    away = sum(counters.get(name, 0) for name in ("delivered", "duplicates", "dead"))
    return {
        "pending": pending,
        "pending_bytes": value("select coalesce(sum(length(body)), 0) from queue"),
        "oldest_pending_s": max(0.0, round(time.time() - oldest, 1))
        if oldest
        else None,
        "files": value("select count(*) from files"),
        "dead_letters": value("select count(*) from dead_letters"),
        "counters": counters,
        "conservation_error": counters.get("lines_read", 0) - away - pending,
        "db_bytes": path.stat().st_size,
        "wal_bytes": _size(Path(f"{path}-wal")),
        "paused": meta.get("paused", "no"),
        "buffer_id": meta["buffer_id"],
        "schema_version": meta["schema_version"],
        "tailer": _parsed(meta.get("tailer_stats")),
    }


def peek(path: Path, limit: int = 10) -> list[dict[str, Any]]:
    """Return the oldest waiting lines, with the beginning of their bytes."""
    import sqlite_utils  # slow to import, and only this command needs it

    connection = schema.connect_readonly(path)
    if connection is None:
        return []
    with _Closing(connection):
        rows = sqlite_utils.Database(connection)["queue"].rows_where(
            order_by="seq",
            limit=limit,
            select="seq, host, path, gen, off, len, kind, at, "
            "cast(substr(body, 1, 400) as text) as beginning",
        )
        return [_printable(row) for row in rows]


def _printable(row: dict[str, Any]) -> dict[str, Any]:
    text = row["beginning"]
    if not isinstance(text, str):
        row["beginning"] = bytes(text).decode("utf-8", "replace")
    return row


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _Closing:
    """Close a connection at the end, so that no read transaction stays open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # `substr` may cut bytes in the middle of a character.
        connection.text_factory = lambda data: data.decode("utf-8", "replace")

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._connection.close()
