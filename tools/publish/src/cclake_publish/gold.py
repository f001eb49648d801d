"""Read the gold tables: the schema `marts` of the DuckDB file, opened read-only."""

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow as pa
from cclake_common.failure import TRY_LATER, Failure

from cclake_publish.indexes import BY_SESSION, VIEWS

SCHEMA = "marts"
LOCK_PATIENCE_S = 10.0
MEMORY = "400MB"
_LOCKED = "Could not set lock"
# A view that decodes gigabytes: it is neither counted nor copied as the tables are.
IMAGE_DATA = "image_data"
# Columns that say how gold was built, row by row, and the readers that need one.
INTERNAL = {"updated_run", "price_list"}
NEEDED_BY_READERS = {"dim_sessions": ("updated_run",)}
KEPT_AS_VIEWS = {IMAGE_DATA, *VIEWS}
NUMBERS = 'memory.main."numbers"'
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
        build: Names the build that made the table; empty if dbt does not say.
    """

    name: str
    columns: tuple[Column, ...]
    rows: int = 0
    build: str = ""

    def has(self, *names: str) -> bool:
        """Return whether the table has all of these columns."""
        return set(names) <= {column.name for column in self.columns}

    @property
    def in_sqlite(self) -> tuple[Column, ...]:
        """Its columns in SQLite: without those that only publish and dbt need."""
        kept = NEEDED_BY_READERS.get(self.name, ())
        return tuple(
            c for c in self.columns if c.name not in INTERNAL or c.name in kept
        )


class Gold:
    """An open gold database. `connection` may attach further files for writing.

    Attributes:
        images: The bytes of all images, if they are not in the database.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        catalog: str,
        images: Iterable[pa.RecordBatch] | None = None,
    ) -> None:
        self.connection = connection
        self.catalog = catalog
        self.images = images
        self._names: set[str] = set()
        self._sources: dict[str, str] = {}
        self.tables = self._tables()

    @cached_property
    def digests(self) -> dict[str, str]:
        """A digest of the rows of each table that dbt does not replace by session."""
        return {t.name: self.digest(t) for t in self.tables if t.name not in BY_SESSION}

    def digest(
        self, table: Table, connection: duckdb.DuckDBPyConnection | None = None
    ) -> str:
        """Return a digest of all rows of a table, whatever their order."""
        columns = ", ".join(quote(column.name) for column in table.columns)
        query = f"select sum(hash({columns})::hugeint) from {self.source(table.name)}"
        row = (connection or self.connection).execute(query).fetchone()
        return f"{table.rows}-{row[0] if row else None}"

    def newest_run(self, table: Table) -> int | None:
        """Return the newest `updated_run` of a table; None if there is none."""
        if not table.has("updated_run"):
            return None
        query = f"select max(updated_run) from {self.source(table.name)}"
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row and row[0] is not None else None

    def first_run(self, sessions: str) -> int | None:
        """Return the oldest run that rows of some sessions can have; None if unknown.

        Args:
            sessions: SQL that selects their `session_id`.
        """
        versions = f"{quote(self.catalog)}.intermediate.int_session_versions"
        query = (
            "select min(v.first_run), bool_and(v.first_run is not null)"
            f" from {sessions} as m left join {versions} as v"
            " on v.session_id = m.session_id where m.session_id is not null"
        )
        try:
            row = self.connection.execute(query).fetchone()
        except duckdb.CatalogException:
            return None
        return int(row[0]) if row and row[1] else None

    def has(self, table: str) -> bool:
        """Return whether there is such a table or view."""
        return table in self._names

    def source(self, table: str) -> str:
        """Return the full, quoted name of a gold table in SQL."""
        name = ".".join(map(quote, (self.catalog, SCHEMA, table)))
        return self._sources.get(table, name)

    def extract_run(self) -> int | None:
        """Return the newest extraction run that is loaded; None if unknown."""
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

    def require_whole(self) -> None:
        """Refuse gold that an aborted run of dbt left incomplete.

        Raises:
            Failure: The last run of dbt was not complete.
        """
        state = f"{quote(self.catalog)}.intermediate.build_state"
        try:
            row = self.connection.execute(f"select is_whole from {state}").fetchone()
        except duckdb.CatalogException:
            return  # unknown
        if not (row and row[0]):
            raise Failure(
                "gold is incomplete: the last run of dbt was aborted",
                "Run `pipeline run`, which completes and publishes it.",
            )

    def number(self, table: Table) -> None:
        """Give each block a unique number; `numbered` has them.

        If several blocks share a number, all but one get the next free number.
        """
        source = self.source(table.name)
        self.connection.execute(
            f"create table {NUMBERS} as select row, number from (select row, search_id,"
            " place + max(search_id - place) over (order by place) as number"
            " from (select rowid as row, search_id, row_number() over"
            f" (order by search_id, rowid) as place from {source}))"
            " where number <> search_id"
        )

    def numbered(self, table: Table, piece: str) -> str:
        """Return SQL for the blocks of a piece of the table, with those numbers."""
        return (
            "(select t.* exclude (row)"
            " replace (coalesce(n.number, t.search_id) as search_id)"
            f" from (select rowid as row, * from {self.source(table.name)}"
            f" where {piece}) as t left join {NUMBERS} as n on n.row = t.row)"
        )

    def ranges(self, table: Table, key: str) -> list[str]:
        """Return SQL conditions on an integer key that cut a table into ordered pieces.

        Each is small enough to be sorted in memory.
        """
        count = min(RANGES, table.rows // RANGE_ROWS + 1)
        shares = [number / count for number in range(1, count)]
        query = f"select quantile_disc({quote(key)}, {shares}::double[])"
        query += f" from {self.source(table.name)}"
        row = self.connection.cursor().execute(query).fetchone()
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
        for table, name, kind in self._catalogued(
            "columns", "table_name, column_name, data_type", "table_name, column_index"
        ):
            self._names.add(table)
            if table not in KEPT_AS_VIEWS:
                columns.setdefault(table, []).append(Column(name, kind))
        for (view,) in self._catalogued("views", "view_name", "view_name"):
            if view not in KEPT_AS_VIEWS:
                self._compute(view)
        comments = self._catalogued("tables", "table_name, comment", "table_name")
        builds = {name: comment or "" for name, comment in comments}
        return tuple(
            Table(name, tuple(described), self._count(name), builds.get(name, ""))
            for name, described in columns.items()
        )

    def _catalogued(self, kind: str, columns: str, order: str) -> list[tuple[str, ...]]:
        # No parameters: for each, DuckDB would look for libraries that are missing.
        return self.connection.execute(
            f"select {columns} from duckdb_{kind}() where schema_name = '{SCHEMA}'"
            f" and database_name = {literal(self.catalog)} order by {order}"
        ).fetchall()

    def _compute(self, view: str) -> None:
        """Compute a view once, however often it is read."""
        kept = f"memory.main.{quote(f'view_{view}')}"
        self.connection.execute(f"create table {kept} as from {self.source(view)}")
        self._sources[view] = kept

    def _count(self, table: str) -> int:
        query = f"select count(*) from {self.source(table)}"
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0


def quote(name: str) -> str:
    """Return a name as a quoted SQL identifier (SQLite and DuckDB alike)."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Return a value as a SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


@contextmanager
def open_gold(
    path: Path,
    scratch: Path,
    memory: str = MEMORY,
    images: Iterable[pa.RecordBatch] | None = None,
) -> Iterator[Gold]:
    """Open the gold tables of a DuckDB file for reading.

    Args:
        path: The DuckDB file that dbt writes.
        scratch: Folder for what does not fit into memory.
        memory: Maximum memory of DuckDB.
        images: The bytes of all images, if they are not in the file.

    Raises:
        Failure: There is no such file, it holds no gold, or a writer has locked it.
    """
    if not path.exists():
        raise Failure(f"{path} does not exist", "Run `pipeline run` first.")
    connection = connect(":memory:", scratch, memory)
    try:
        # A Python variable must not stand in for a missing table of its name.
        connection.execute("set python_enable_replacements = false")
        # dbt's views name their database by the stem of the file: keep that name.
        _attach(connection, path, path.stem)
        gold = Gold(connection, path.stem, images)
        if not gold.tables:
            raise Failure(f"{path} holds no gold tables", "Run `pipeline run` first.")
        yield gold
    finally:
        connection.close()


def connect(
    path: str | Path, scratch: Path, memory: str = MEMORY
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, or a database in memory, with the limits of publish."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": 2,
        "temp_directory": str(scratch),
        # A batch of long texts may hold more than 2 GB.
        "arrow_large_buffer_size": True,
    }
    return duckdb.connect(str(path), config=settings)


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
