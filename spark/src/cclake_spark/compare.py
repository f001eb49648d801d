"""Compare the gold of two engines: every table, every column, every row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMAS = ("staging", "intermediate", "marts")
# The record of DuckDB's incremental builds, which Spark does not keep.
ONLY_DUCKDB = {"intermediate.build_state"}


@dataclass(frozen=True)
class Compared:
    """A table as both engines have it.

    Attributes:
        name: Its schema and name.
        rows: Number of rows in DuckDB.
        columns: Number of columns in DuckDB.
        problem: Why it is not equal; an empty text if it is.
        differing: Columns whose values differ.
    """

    name: str
    rows: int
    columns: int
    problem: str = ""
    differing: list[str] = field(default_factory=list)


def compare(session: "SparkSession", database: Path) -> Iterator[Compared]:
    """Yield each table and view of DuckDB's gold, compared with the other engine's."""
    with duckdb.connect(str(database), read_only=True) as gold:
        gold.execute("set timezone = 'UTC'")
        for name in _names(gold):
            yield _compare(name, gold, session)


def newest_run(database: Path) -> int:
    """Return the newest extraction that DuckDB's gold is made of."""
    with duckdb.connect(str(database), read_only=True) as gold:
        row = gold.execute("select max(extract_run) from raw.conversations").fetchone()
    return int(row[0]) if row and row[0] is not None else -1


def _names(gold: duckdb.DuckDBPyConnection) -> list[str]:
    rows = gold.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_schema in (select unnest(?)) order by table_schema, table_name",
        [list(SCHEMAS)],
    ).fetchall()
    return [name for (name,) in rows if name not in ONLY_DUCKDB]


def _compare(
    name: str, gold: duckdb.DuckDBPyConnection, session: "SparkSession"
) -> Compared:
    ours = gold.execute(f"select * from {name}").to_arrow_table()
    rows, columns = ours.num_rows, ours.num_columns
    try:
        theirs = session.table(name).toArrow()
    except Exception as error:  # whatever the engine says
        return Compared(name, rows, columns, f"not built: {str(error).splitlines()[0]}")
    if sorted(ours.column_names) != sorted(theirs.column_names):
        other = sorted(set(ours.column_names) ^ set(theirs.column_names))
        return Compared(name, rows, columns, "other columns", other)
    with duckdb.connect() as both:
        both.execute("set timezone = 'UTC'")
        both.register("our_rows", ours)
        both.register("their_rows", theirs)
        # Both engines name types as they like; DuckDB compares in one that holds both.
        names = [f'"{column}"' for column in ours.column_names]
        if not _differ(both, ", ".join(names)):
            return Compared(name, rows, columns)
        differing = [
            c
            for c, quoted in zip(ours.column_names, names, strict=True)
            if _differ(both, quoted)
        ]
    problem = f"{rows} rows in DuckDB, {theirs.num_rows} in Spark"
    return Compared(name, rows, columns, problem, differing)


def _differ(both: duckdb.DuckDBPyConnection, columns: str) -> bool:
    """Return whether the rows of one side are not those of the other, with copies."""
    return any(
        both.execute(
            f"select 1 from (select {columns} from {one}_rows"
            f" except all select {columns} from {other}_rows) limit 1"
        ).fetchone()
        for one, other in (("our", "their"), ("their", "our"))
    )
