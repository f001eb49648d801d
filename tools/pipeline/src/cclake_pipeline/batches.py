"""Divide a large build of gold into batches, so that its memory stays bounded.

A batch has the lines of some complete extraction runs. dbt's models give the same
tables for any sequence of batches.
"""

from pathlib import Path

import duckdb

_LOADED = """
select extract_run, count(*)
from raw.conversations
where extract_run > ?
group by extract_run
order by extract_run
"""
_BUILT = "select coalesce(max(version_run), -1) from intermediate.int_session_versions"


def bounds(database: Path, rows: int, everything: bool) -> list[int]:
    """Return the extraction runs that end a batch; empty if one batch is enough.

    Args:
        database: The DuckDB file, which no other process writes now.
        rows: Number of lines of a batch.
        everything: Build all lines, not only those that gold lacks.

    Returns:
        Rising values of `extract_run`. Runs after the last one are another batch.
    """
    if not database.exists():
        return []
    found: list[int] = []
    try:
        with duckdb.connect(str(database), read_only=True) as db:
            built = -1 if everything else _first(db, _BUILT)
            loaded = db.execute(_LOADED, [built]).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):  # it has no log lines
        return []
    waiting = 0
    for run, count in loaded[:-1]:
        waiting += count
        if waiting >= rows:
            found.append(int(run))
            waiting = 0
    return found


def _first(db: duckdb.DuckDBPyConnection, query: str) -> int:
    try:
        row = db.execute(query).fetchone()
    except duckdb.CatalogException:  # gold was never built
        return -1
    return int(row[0]) if row else -1
