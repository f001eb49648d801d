"""The DuckDB file: the raw entries, and the gold tables that were made from them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from cclake_common.failure import TRY_LATER, Failure

from cclake_verify.memory import Sum
from cclake_verify.sums import SQL_SUM

PATIENCE_S = 10.0
MEMORY = "1GB"
MESSAGES = "fct_messages"
RESPONSES = "fct_api_responses"
# Not in both: the publisher's own tables, and what only SQLite has the bytes of.
OWN = ("export_info", "pipeline_runs", "image_data")
MEASURED = ("HUGEINT", "BIGINT", "INTEGER", "DOUBLE", "DECIMAL")
TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
# Tables whose sums are those of the responses, and which of the responses they have.
SUMMED = {
    "agg_session_metrics": "true",
    "agg_daily_model_cost": "responded_at is not null",
}
PARTS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
SUM_OF_PARTS = " + ".join(f"{part}_usd" for part in (*PARTS, "web_search"))
# A response whose cost does not follow from its own tokens and prices.
MISPRICED = f"""
    select count(*), min(response_key) from marts.{RESPONSES}
    where cost_usd is distinct from {SUM_OF_PARTS}
        or total_tokens <> {" + ".join(TOKENS)}
        or {
    " or ".join(
        f"(price_parts = 1 and abs({part}_usd - {part}_tokens::double"
        f" * {part}_price * price_multiplier / 1e6) > 1e-7)"
        f" or ({part}_usd = 0 and {part}_tokens > 0 and {part}_price > 0)"
        for part in PARTS
    )
}
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a table holds: rows, and the sums of its tokens and costs by column."""

    rows: int
    sums: tuple[float, ...] = ()

    def is_like(self, other: "Measure | None") -> bool:
        """Return whether another table holds the same; costs to a millionth dollar."""
        return (
            other is not None
            and self.rows == other.rows
            and len(self.sums) == len(other.sums)
            and all(
                abs(mine - theirs) <= max(1e-6, abs(mine) * 1e-12)
                for mine, theirs in zip(self.sums, other.sums, strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A gold table: its columns with their types, in their order."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def measures(self) -> list[str]:
        """Return the columns of tokens and costs, which are summed up."""
        return [
            name
            for name, kind in self.columns
            if kind.startswith(MEASURED)
            and not kind.endswith("]")
            and (name.endswith("_tokens") or name == "cost_usd")
        ]


@dataclass(slots=True)
class Copy:
    """What one copy of the gold tables holds.

    Attributes:
        run: The extraction run that it was made from; None when it does not say.
        tables: The measure of each table.
        messages: The sum of `fct_messages`.
    """

    run: int | None
    tables: dict[str, Measure] = field(default_factory=dict)
    messages: Sum = field(default_factory=Sum)


def open_duckdb(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for reading; wait for its writer for a while.

    Raises:
        Failure: A writer holds it, or it is not what it should be.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return duckdb.connect(str(path), True, {"memory_limit": MEMORY})
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


def entries(connection: duckdb.DuckDBPyConnection) -> Sum | None:
    """Sum up `raw.conversations`; None where nothing was loaded yet."""
    try:
        run = one(connection, "select max(extract_run) from raw.loads") or 0
        return sum_of_table(connection, "raw.conversations", int(run))
    except duckdb.CatalogException:
        return None


def is_whole(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the last run of dbt built all that it began; True if unknown."""
    try:
        found = one(connection, "select is_whole from intermediate.build_state")
    except duckdb.CatalogException:
        return True
    return bool(found)


def tables_of(
    connection: duckdb.DuckDBPyConnection, database: str | None = None
) -> list[Table]:
    """Return the gold tables of a database, ordered by name."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() where"
        " database_name = coalesce(?, current_database()) and schema_name = 'marts'"
        " and table_name not in (?, ?, ?) order by table_name, column_index",
        [database, *OWN],
    ).fetchall():
        columns.setdefault(table, []).append((name, kind))
    return [Table(name, tuple(found)) for name, found in columns.items()]


def measure(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], schema: str
) -> Copy:
    """Count and sum up the tables of a schema."""
    copy = Copy(None)
    for table in tables:
        where = f"{schema}.{quote(table.name)}"
        sums = "".join(f", sum({quote(name)})" for name in table.measures)
        row = connection.execute(f"select count(*){sums} from {where}").fetchone()
        rows, *found = row or (0,)
        copy.tables[table.name] = Measure(rows, tuple(float(v or 0) for v in found))
    if MESSAGES in copy.tables:
        copy.messages = sum_of_table(connection, f"{schema}.{MESSAGES}")
    return copy


def inconsistencies(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return where gold contradicts itself: costs, and the sums of aggregates.

    Tables that lack the columns for it are skipped.
    """
    known = {table.name: table for table in tables_of(connection)}
    if RESPONSES not in known:
        return []
    found = []
    try:
        row = connection.execute(MISPRICED).fetchone() or (0, "")
    except duckdb.BinderException:
        row = (0, "")
    if row[0]:
        found.append(
            f"{row[0]:,} rows of {RESPONSES} have a cost that does not follow from"
            f" their tokens and prices: {row[1]}"
        )
    for name, part in SUMMED.items():
        has = {column for column, _ in known[name].columns} if name in known else set()
        columns = [column for column in (*TOKENS, "cost_usd") if column in has]
        sums = ", ".join(f"coalesce(sum({column}), 0)" for column in columns)
        if columns and _row(connection, f"select {sums} from marts.{name}") != _row(
            connection, f"select {sums} from marts.{RESPONSES} where {part}"
        ):
            found.append(f"the sums of {name} differ from those of {RESPONSES}")
    return found


def sum_of_table(
    connection: duckdb.DuckDBPyConnection, table: str, run: int = 0
) -> Sum:
    """Sum up the entries of a table that has `doc_id` and `part`."""
    row = connection.execute(f"select {SQL_SUM} from {table}").fetchone() or (0, 0, 0)
    return Sum(run, row[0], row[1], int(row[2]))


def one(connection: duckdb.DuckDBPyConnection, query: str) -> int | None:
    """Return the first value of the first row, or None."""
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def quote(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[float, ...]:
    found = connection.execute(query).fetchone() or ()
    return tuple(round(float(value), 6) for value in found)
