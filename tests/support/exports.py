"""Compare exports: each table, row by row, whatever the order."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

# They say when and by which run an export was written.
OF_THE_RUN = {"export_info", "pipeline_runs"}
Rows = dict[str, list[str]]


def rows_of(folder: Path) -> Rows:
    """Return the schema, and the rows of each table with the types of their values."""
    with closing(open_export(folder)) as db:
        declared = db.execute("select type, name, sql from sqlite_master").fetchall()
        tables = [
            name
            for kind, name, sql in declared
            if kind == "table" and "VIRTUAL" not in sql.upper()
        ]
        return {"": _sorted(declared)} | {
            name: _sorted(db.execute(f"select {_columns(db, name)} from {name}"))
            for name in sorted(tables)
            if name not in OF_THE_RUN and not name.startswith("search_fts")
        }


def facts_of(folder: Path) -> dict[str, str]:
    """Return the rows of `export_info`."""
    with closing(open_export(folder)) as db:
        return dict(db.execute("select name, value from export_info").fetchall())


def hits(folder: Path, words: str) -> list[Any]:
    """Return the blocks that full-text search finds."""
    query = "select rowid from search_fts where search_fts match ? order by rowid"
    with closing(open_export(folder)) as db:
        return db.execute(query, (words,)).fetchall()


def open_export(folder: Path) -> sqlite3.Connection:
    """Open the SQLite export of a folder for reading."""
    return sqlite3.connect(f"file:{folder / 'conversations.db'}?mode=ro", uri=True)


def _columns(db: sqlite3.Connection, table: str) -> str:
    named = [row[1] for row in db.execute(f"pragma table_info({table})")]
    return ", ".join(f'"{name}", typeof("{name}")' for name in named)


def _sorted(rows: Any) -> list[str]:
    return sorted(map(repr, rows))
