"""List dead letters, show their bytes, and put them back into the queue."""

import base64
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cclake_common.failure import Failure

from cclake_buffer import schema

COLUMNS = "id, seq, host, path, file, gen, off, len, kind, reason, code, attempts, at"
BACK = """
insert into queue (host, path, file, gen, off, len, kind, body, at)
select host, path, file, gen, off, len, kind, body, ? from dead_letters where id = ?
"""


def list_all(path: Path) -> list[dict[str, Any]]:
    """Return every dead letter, without its bytes."""
    connection = schema.connect_readonly(path)
    if connection is None:
        return []
    try:
        return _rows(connection, f"select {COLUMNS} from dead_letters order by id")
    finally:
        connection.close()


def get(path: Path, letter: int) -> dict[str, Any]:
    """Return one dead letter with its bytes, as `body` and `body_base64`.

    Raises:
        Failure: There is no dead letter with this id.
    """
    connection = schema.connect_readonly(path)
    sql = f"select {COLUMNS}, body from dead_letters where id = ?"
    try:
        found = _rows(connection, sql, letter) if connection else []
    finally:
        if connection:
            connection.close()
    if not found:
        raise Failure(
            f"no dead letter {letter}", "List them with `buffer dead-letters list`."
        )
    body = bytes(found[0].pop("body"))
    text = body.decode("utf-8", "replace")
    return found[0] | {"body": text, "body_base64": base64.b64encode(body).decode()}


def retry(path: Path, letter: int | None = None) -> int:
    """Put one dead letter, or all, back into the queue; return how many.

    Raises:
        Failure: There is no dead letter with this id.
    """
    connection = schema.connect(path) if path.exists() else None
    if connection is None:
        return 0
    try:
        connection.execute("begin immediate")
        wanted = [row[0] for row in connection.execute("select id from dead_letters")]
        if letter is not None:
            if letter not in wanted:
                raise Failure(f"no dead letter {letter}")
            wanted = [letter]
        _move_back(connection, wanted)
        connection.execute("commit")
    finally:
        connection.close()
    return len(wanted)


def _move_back(connection: sqlite3.Connection, letters: list[int]) -> None:
    now = time.time()
    for letter in letters:
        connection.execute(BACK, (now, letter))
        connection.execute("delete from dead_letters where id = ?", (letter,))
    connection.execute(
        "update counters set value = value - ? where name = 'dead'", (len(letters),)
    )


def _rows(
    connection: sqlite3.Connection, sql: str, *values: Any
) -> list[dict[str, Any]]:
    """Return rows by column name; `at` is ISO 8601 in UTC."""
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    for row in rows:
        at = datetime.fromtimestamp(row["at"], UTC)
        row["at"] = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return rows
