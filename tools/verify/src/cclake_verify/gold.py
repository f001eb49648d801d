"""Read the warehouse: the raw entries, and the gold tables built from them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from cclake_common.failure import TRY_LATER, Failure

from cclake_verify.checksums import SQL_CHECKSUM, Checksum

LOCK_WAIT_S = 10.0
MEMORY = "1GB"
MESSAGES = "fct_messages"
RESPONSES = "fct_api_responses"
# Not in both: the publisher's own tables, what only SQLite has the bytes of, and a view
# of other tables.
OWN = ("export_info", "pipeline_runs", "image_data", "search_documents")
# Columns that SQLite does without, or where it has other values.
NOT_IN_SQLITE = ("updated_run", "price_list", "search_id")
MEASURED = ("HUGEINT", "BIGINT", "INTEGER", "DOUBLE", "DECIMAL")
TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
# Aggregates, and the condition on the responses that they add up.
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
    """The number of rows of a table, and the sums of its tokens and costs by column."""

    rows: int
    sums: tuple[float, ...] = ()

    def is_like(self, other: "Measure | None") -> bool:
        """Return whether another table has equal numbers, up to 0.000001 dollars."""
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
    """A gold table: its columns with their types, in order."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def in_sqlite(self) -> list[tuple[str, str]]:
        """Return the columns that have the same values in SQLite."""
        return [column for column in self.columns if column[0] not in NOT_IN_SQLITE]

    @property
    def measures(self) -> list[str]:
        """Return the columns of tokens and costs, which are added up."""
        return [
            name
            for name, kind in self.columns
            if kind.startswith(MEASURED)
            and not kind.endswith("]")
            and (name.endswith("_tokens") or name == "cost_usd")
        ]


@dataclass(slots=True)
class Copy:
    """The numbers of gold, or of an export of it.

    Attributes:
        run: The extraction run that it was built from; None if unknown.
        info: What it says of itself, in `export_info`.
        tables: The measure of each table.
        messages: The checksum of `fct_messages`.
    """

    run: int | None
    info: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Measure] = field(default_factory=dict)
    messages: Checksum = field(default_factory=Checksum)


def open_duckdb(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for reading; wait up to 10 seconds for a writer.

    Raises:
        Failure: A writer has locked it, or it is not a DuckDB file.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
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


def entries(connection: duckdb.DuckDBPyConnection) -> Checksum | None:
    """Return the checksum of `raw.conversations`; None if nothing was loaded yet."""
    try:
        run = first_value(connection, "select max(extract_run) from raw.loads") or 0
        return checksum_of_table(connection, "raw.conversations", int(run))
    except duckdb.CatalogException:
        return None


def is_whole(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the last run of dbt was complete; True if unknown."""
    try:
        found = first_value(connection, "select is_whole from intermediate.build_state")
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
        " and not list_contains(?, table_name) order by table_name, column_index",
        [database, [*OWN]],
    ).fetchall():
        columns.setdefault(table, []).append((name, kind))
    return [Table(name, tuple(found)) for name, found in columns.items()]


def measure(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[Table], schema: str
) -> Copy:
    """Count the rows of a schema's tables, and add up tokens and costs."""
    copy = Copy(None)
    for table in tables:
        where = f"{schema}.{quote(table.name)}"
        sums = "".join(f", sum({quote(name)})" for name in table.measures)
        row = connection.execute(f"select count(*){sums} from {where}").fetchone()
        rows, *found = row or (0,)
        copy.tables[table.name] = Measure(rows, tuple(float(v or 0) for v in found))
    if MESSAGES in copy.tables:
        copy.messages = checksum_of_table(connection, f"{schema}.{MESSAGES}")
    return copy


def inconsistencies(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return contradictions in gold: costs, and the sums of aggregates.

    Tables without the necessary columns are skipped.
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


def checksum_of_table(
    connection: duckdb.DuckDBPyConnection, table: str, run: int = 0
) -> Checksum:
    """Return the checksum of a table with `doc_id` and `part`."""
    query = f"select {SQL_CHECKSUM} from {table}"
    row = connection.execute(query).fetchone() or (0, 0, 0)
    return Checksum(run, row[0], row[1], int(row[2]))


def first_value(connection: duckdb.DuckDBPyConnection, query: str) -> int | None:
    """Return the first value of the first row, or None."""
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def quote(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[float, ...]:
    found = connection.execute(query).fetchone() or ()
    return tuple(round(float(value), 6) for value in found)
