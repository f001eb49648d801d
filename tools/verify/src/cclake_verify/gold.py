"""DuckDB and the exports, as far as proof needs them."""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
from cclake_common.failure import TRY_LATER, Failure

from cclake_verify.memory import Sum
from cclake_verify.sums import SQL_SUM, sum_of_rows

PATIENCE_S = 10.0
MESSAGES = "fct_messages"
# Not in both: the publisher's own tables, and what only SQLite has the bytes of.
OWN = ("export_info", "pipeline_runs", "image_data")
TABLES = """
    select table_name from duckdb_tables()
    where database_name = current_database() and schema_name = 'marts'
    union all
    select view_name from duckdb_views()
    where database_name = current_database() and schema_name = 'marts'
    order by 1
"""


@dataclass(frozen=True, slots=True)
class Gold:
    """What a copy of the gold tables holds.

    Attributes:
        run: The extraction run that it was made from; None when it does not say.
        rows: Rows by table.
        messages: The sum of `fct_messages`.
    """

    run: int | None
    rows: dict[str, int]
    messages: Sum


@dataclass(frozen=True, slots=True)
class Warehouse:
    """What the DuckDB file holds: the raw entries, and gold where it was built."""

    entries: Sum
    gold: Gold


def read_warehouse(path: Path) -> Warehouse | None:
    """Sum up the warehouse, or None where nothing was loaded yet.

    The file is open for a moment only: its writers need it for themselves.

    Raises:
        Failure: A writer holds it, or it is not what it should be.
    """
    if not path.exists():
        return None
    with closing(_patient(path)) as connection:
        try:
            run = _one(connection, "select max(extract_run) from raw.loads") or 0
            entries = _sum(connection, "raw.conversations", int(run))
        except duckdb.CatalogException:
            return None
        return Warehouse(entries, _gold(connection, int(run)))


def read_duckdb_export(path: Path) -> Gold | None:
    """Count the tables of the DuckDB export, or None where there is none."""
    if not path.exists():
        return None
    with closing(_patient(path)) as connection:
        return _gold(connection, _published_run(connection))


def read_sqlite_export(path: Path) -> Gold | None:
    """Count the tables of the SQLite export, or None where there is none."""
    if not path.exists():
        return None
    with closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    ) as db:
        info = dict(db.execute("select name, value from export_info"))
        tables = [name[5:] for name in info if name.startswith("rows.")]
        counts = {
            name: int(db.execute(f"select count(*) from {_quote(name)}").fetchone()[0])
            for name in sorted(tables)
        }
        messages = Sum()
        if MESSAGES in counts:
            messages = sum_of_rows(db.execute(f"select doc_id, part from {MESSAGES}"))
    run = info.get("extract_run")
    return Gold(int(run) if run else None, counts, messages)


def _published_run(connection: duckdb.DuckDBPyConnection) -> int | None:
    try:
        run = _one(
            connection,
            "select value from marts.export_info where name = 'extract_run'",
        )
    except duckdb.CatalogException:
        return None
    return int(run) if run else None


def _gold(connection: duckdb.DuckDBPyConnection, run: int | None) -> Gold:
    found = (row[0] for row in connection.execute(TABLES).fetchall())
    names = [name for name in found if name not in OWN]
    rows = {
        name: int(_one(connection, f"select count(*) from marts.{_quote(name)}") or 0)
        for name in names
    }
    messages = Sum()
    if MESSAGES in rows:
        messages = _sum(connection, f"marts.{MESSAGES}")
    return Gold(run, rows, messages)


def _sum(connection: duckdb.DuckDBPyConnection, table: str, run: int = 0) -> Sum:
    row = connection.execute(f"select {SQL_SUM} from {table}").fetchone() or (0, 0, 0)
    return Sum(run, row[0], row[1], int(row[2]))


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int | None:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _patient(path: Path) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return duckdb.connect(str(path), read_only=True)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise Failure(f"cannot read {path}: {error}") from error
            if time.monotonic() > deadline:
                raise Failure(
                    f"{path} is locked by a writer",
                    "Wait for the running pipeline, then verify again.",
                    code=TRY_LATER,
                ) from error
            time.sleep(0.2)
