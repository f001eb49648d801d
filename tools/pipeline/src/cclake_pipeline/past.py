"""Reading the record of runs without a right to write it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cclake_common.failure import Failure
from cclake_common.sqlite import connect_readonly, readonly_uri


def recent(path: Path, limit: int) -> list[dict[str, Any]]:
    """Return the runs, newest first, each with its `stages`.

    Raises:
        Failure: The record cannot be read.
    """
    if not path.exists():
        return []
    try:
        with closing(_open(path)) as db:
            return newest(db, limit) if _is_made(db) else []
    except sqlite3.DatabaseError as error:
        raise Failure(
            f"{path} cannot be read: {error}",
            "May you read it? Where the file is damaged, delete it: it is only the"
            " record of runs.",
        ) from error


def newest(db: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """Return the newest runs of an open record, each with its `stages` in order."""
    db.row_factory = sqlite3.Row
    runs = db.execute(
        "select * from runs order by run_id desc limit ?", (limit,)
    ).fetchall()
    stages = "select * from stages where run_id = ? order by rowid"
    return [
        dict(run) | {"stages": [dict(s) for s in db.execute(stages, (run["run_id"],))]}
        for run in runs
    ]


def _is_made(db: sqlite3.Connection) -> bool:
    """Return whether the record has its tables: the first run may be just making it."""
    made = "select 1 from sqlite_schema where name = 'runs'"
    return db.execute(made).fetchone() is not None


def _open(path: Path) -> sqlite3.Connection:
    """Open for reading only.

    SQLite reads a file in WAL mode through files beside it, and must make them where
    no writer has it open. In a folder that may not be written it takes the file as
    it lies, which is whole then.
    """
    db = None
    try:
        db = connect_readonly(path, wait_s=10)
        db.execute("select 1 from sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        if db:
            db.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        return sqlite3.connect(f"{readonly_uri(path)}&immutable=1", uri=True)
    return db
