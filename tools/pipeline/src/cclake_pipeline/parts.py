"""Where a large build of gold is cut into parts, so that its memory stays bounded.

dbt's models take over what a later extraction brought and give the same tables in
whatever parts that comes. A part is some whole extractions, one after the other.
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
    """Return the extractions that end a part; empty where one part is enough.

    Args:
        database: The DuckDB file, which nobody else writes now.
        rows: How many lines make a part.
        everything: All lines are built, not only those that gold does not have.

    Returns:
        Values of `extract_run`, rising. What comes after the last one is a part too.
    """
    if not database.exists():
        return []
    found: list[int] = []
    try:
        with duckdb.connect(str(database), read_only=True) as db:
            built = -1 if everything else _first(db, _BUILT)
            loaded = db.execute(_LOADED, [built]).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):  # no log lines in it
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
