"""The gold tables: schema `marts` of the DuckDB file, opened only for reading."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from cclake_common.failure import TRY_LATER, Failure

SCHEMA = "marts"
LOCK_PATIENCE_S = 10.0
MEMORY = "400MB"
_LOCKED = "Could not set lock"
# A view that decodes gigabytes: it is neither counted nor copied as the tables are.
IMAGE_DATA = "image_data"
RANGE_ROWS = 10_000
RANGES = 64


@dataclass(frozen=True)
class Column:
    """A column of a gold table, with its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True)
class Table:
    """A gold table.

    Attributes:
        name: Its name.
        columns: Its columns in order.
        rows: How many rows it has.
        build: Names the build that made the table; empty where dbt does not say.
    """

    name: str
    columns: tuple[Column, ...]
    rows: int = 0
    build: str = ""

    def has(self, *names: str) -> bool:
        """Whether the table has all of these columns."""
        return set(names) <= {column.name for column in self.columns}


class Gold:
    """An open gold database. `connection` may attach further files for writing."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
        self.connection = connection
        self.catalog = catalog
        self.tables = self._tables()

    def has(self, table: str) -> bool:
        """Whether there is such a table or view."""
        query = "select 1 from duckdb_columns() where database_name = ?"
        query += " and schema_name = ? and table_name = ? limit 1"
        names = [self.catalog, SCHEMA, table]
        return bool(self.connection.cursor().execute(query, names).fetchone())

    def source(self, table: str) -> str:
        """The full, quoted name of a gold table in SQL."""
        return ".".join(map(quote, (self.catalog, SCHEMA, table)))

    def extract_run(self) -> int | None:
        """The newest extraction run that has been loaded; None where it is unknown."""
        loads = f"{quote(self.catalog)}.raw.loads"
        try:
            query = f"select max(extract_run) from {loads}"
            row = self.connection.execute(query).fetchone()
        except duckdb.CatalogException:
            return None
        return int(row[0]) if row and row[0] is not None else None

    def watermarks(self) -> str:
        """Return the loaded seq of each buffer as JSON; empty if unknown."""
        loads = f"{quote(self.catalog)}.raw.loads"
        query = f"select watermarks from {loads} order by load_id desc limit 1"
        try:
            row = self.connection.execute(query).fetchone()
        except (duckdb.CatalogException, duckdb.BinderException):
            return ""  # loaded by an earlier version
        return str(row[0]) if row and row[0] is not None else ""

    def is_whole(self) -> bool:
        """Whether the last run of dbt built all that it began; True where unknown."""
        state = f"{quote(self.catalog)}.intermediate.build_state"
        try:
            row = self.connection.execute(f"select is_whole from {state}").fetchone()
        except duckdb.CatalogException:
            return True
        return bool(row and row[0])

    def ranges(self, table: Table, key: str) -> list[str]:
        """SQL conditions on a key of integers that cut a table into ordered pieces.

        Each is small enough to be sorted in memory.
        """
        count = min(RANGES, table.rows // RANGE_ROWS + 1)
        shares = [number / count for number in range(1, count)]
        query = f"select quantile_disc({quote(key)}, ?::double[])"
        query += f" from {self.source(table.name)}"
        row = self.connection.cursor().execute(query, [shares]).fetchone()
        bounds = sorted({*row[0]}) if row and row[0] else []
        name = quote(key)
        if not bounds:
            return ["true"]
        return [
            f"{name} <= {bounds[0]} or {name} is null",
            *(f"{name} > {a} and {name} <= {b}" for a, b in itertools.pairwise(bounds)),
            f"{name} > {bounds[-1]}",
        ]

    def _tables(self) -> tuple[Table, ...]:
        columns: dict[str, list[Column]] = {}
        for table, name, kind in self.connection.execute(
            "select table_name, column_name, data_type from duckdb_columns()"
            " where database_name = ? and schema_name = ? and table_name <> ?"
            " order by table_name, column_index",
            [self.catalog, SCHEMA, IMAGE_DATA],
        ).fetchall():
            columns.setdefault(table, []).append(Column(name, kind))
        builds = dict(
            self.connection.execute(
                "select table_name, comment from duckdb_tables()"
                " where database_name = ? and schema_name = ? and comment is not null",
                [self.catalog, SCHEMA],
            ).fetchall()
        )
        return tuple(
            Table(name, tuple(described), self._count(name), builds.get(name, ""))
            for name, described in columns.items()
        )

    def _count(self, table: str) -> int:
        query = f"select count(*) from {self.source(table)}"
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0


def quote(name: str) -> str:
    """A name as a quoted SQL identifier (SQLite and DuckDB alike)."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value as a SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


@contextmanager
def open_gold(path: Path, scratch: Path, memory: str = MEMORY) -> Iterator[Gold]:
    """Open the gold tables of a DuckDB file for reading.

    Args:
        path: The DuckDB file that dbt writes.
        scratch: Folder for what does not fit into memory.
        memory: What DuckDB may take of it.

    Raises:
        Failure: There is no such file, it holds no gold, or a writer has locked it.
    """
    if not path.exists():
        raise Failure(f"{path} does not exist", "Run `pipeline run` first.")
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": 2,
        "temp_directory": str(scratch),
        # A batch of long texts may hold more than 2 GB.
        "arrow_large_buffer_size": True,
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        # A missing table is missing, whatever Python variable has its name.
        connection.execute("set python_enable_replacements = false")
        # dbt's views name their database by the stem of the file: keep that name.
        _attach(connection, path, path.stem)
        gold = Gold(connection, path.stem)
        if not gold.tables:
            raise Failure(f"{path} holds no gold tables", "Run `pipeline run` first.")
        yield gold
    finally:
        connection.close()


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            connection.execute(f"attach {literal(path)} as {quote(name)} (read_only)")
        except duckdb.BinderException as error:
            raise Failure(
                f"{path} has a name that DuckDB keeps for itself", "Rename the file."
            ) from error
        except duckdb.IOException as error:
            if _LOCKED not in str(error):
                raise Failure(f"cannot read {path}: {error}") from error
            if time.monotonic() > deadline:
                raise Failure(
                    f"{path} is locked by another process",
                    "Wait for the running `load` or `dbt`, then publish again.",
                    code=TRY_LATER,
                ) from error
            time.sleep(0.2)
        else:
            return
