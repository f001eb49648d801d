"""Read the two exports: their totals, and a digest of each table's content."""

import sqlite3
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from hashlib import md5
from pathlib import Path
from typing import Protocol

import duckdb
from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi
from cclake_common.sqlite import readonly_uri

from cclake_verify.checksums import checksum_of_rows
from cclake_verify.gold import (
    MESSAGES,
    Copy,
    Measure,
    Table,
    first_value,
    literal,
    measure,
    quote,
    tables_of,
)

MODULUS = 2**64
ALIAS = "__export"
# Number of rows of SQLite in memory at once.
BATCH_ROWS = 1_000
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT",
            "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BOOLEAN")  # fmt: skip
REALS = ("FLOAT", "DOUBLE", "DECIMAL")
LISTS = ("STRUCT", "MAP", "UNION")
ISO = "'%Y-%m-%dT%H:%M:%S.%gZ'"


class Export(Protocol):
    """A file with a copy of the gold tables."""

    def measures(self, tables: Iterable[Table]) -> Copy:
        """Count the rows of its tables, and add up tokens and costs.

        Args:
            tables: The gold tables, which give the columns.
        """

    def digest(self, table: Table, exact: bool) -> int:
        """Return a hash of all rows that does not depend on their order.

        Args:
            table: The gold table.
            exact: Hash the values as DuckDB has them, not as SQLite stores them.
        """

    def find_damage(self) -> list[str]:
        """Return faults of the file itself, apart from its tables."""


class DuckExport:
    """The DuckDB export, attached beside gold, or gold itself as `marts`.

    Args:
        connection: The connection that has it attached.
        schema: Full name of the schema.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, schema: str) -> None:
        self._connection, self._schema = connection, schema

    def measures(self, tables: Iterable[Table]) -> Copy:
        """Count and sum up its tables."""
        names = {table.name: table for table in tables}
        own = tables_of(self._connection, ALIAS)
        copy = measure(
            self._connection,
            [names.get(table.name, table) for table in own],
            self._schema,
        )
        copy.info = self._info()
        copy.run = _run(copy.info)
        return copy

    def digest(self, table: Table, exact: bool) -> int:
        """Return a hash of all rows, whatever their order."""
        values = [quote(name) for name, _ in table.columns]
        if not exact:
            values = [
                value for column in table.in_sqlite for value in _as_sqlite(*column)
            ]
        source = f"{self._schema}.{quote(table.name)}"
        return _sum_of_hashes(self._connection, ", ".join(values), source)

    def find_damage(self) -> list[str]:
        """Return the tables that are not as the export itself says that they are.

        DuckDB checks what it reads, and for the digests all of it is read.
        """
        info, found = self._info(), []
        same_hash = info.get("duckdb") == duckdb.__version__
        for table in tables_of(self._connection, ALIAS):
            columns = ", ".join(quote(name) for name, _ in table.columns)
            rows, total = self._connection.execute(
                f"select count(*), sum(hash({columns})::hugeint)"
                f" from {self._schema}.{quote(table.name)}"
            ).fetchone() or (0, None)
            if str(rows) != info.get(f"rows.{table.name}"):
                found.append(f"{table.name} has {rows:,} rows, which it does not say")
            elif same_hash and f"{rows}-{total}" != info.get(f"digest.{table.name}"):
                found.append(f"{table.name} does not hold what it says")
        return found

    def _info(self) -> dict[str, str]:
        try:
            found = self._connection.execute(f"from {self._schema}.export_info")
        except duckdb.CatalogException:
            return {}
        return dict(found.fetchall())


class SqliteExport:
    """The SQLite export; `opened` opens it.

    Args:
        path: The file.
        cursor: Reads it as Arrow.
        connection: Adds up the rows.
    """

    def __init__(
        self, path: Path, cursor: adbc.Cursor, connection: duckdb.DuckDBPyConnection
    ) -> None:
        self._path, self._cursor, self._connection = path, cursor, connection
        self._uri = readonly_uri(path)

    def measures(self, tables: Iterable[Table]) -> Copy:
        """Count and sum up its tables."""
        known = {table.name: table for table in tables}
        with closing(sqlite3.connect(self._uri, uri=True)) as db:
            info = dict(db.execute("select name, value from export_info"))
            copy = Copy(_run(info), info)
            listed = {name[5:] for name in info if name.startswith("rows.")}
            for name in sorted(listed | (known.keys() & _tables(db))):
                measures = known[name].measures if name in known else []
                sums = "".join(f", total({quote(column)})" for column in measures)
                rows, *found = db.execute(
                    f"select count(*){sums} from {quote(name)}"
                ).fetchone()
                copy.tables[name] = Measure(rows, tuple(found))
            if MESSAGES in copy.tables:
                copy.messages = checksum_of_rows(
                    db.execute(f"select doc_id, part from {MESSAGES}")
                )
        return copy

    def digest(self, table: Table, exact: bool) -> int:
        """Return a hash of all rows, whatever their order."""
        values = [value for column in table.in_sqlite for value in _in_sqlite(*column)]
        named = ", ".join(f"{value} as c{n}" for n, value in enumerate(values))
        query = f"select {named} from {quote(table.name)}"
        listed = ", ".join(f"c{number}" for number in range(len(values)))
        self._cursor.execute(query)
        with self._cursor.fetch_record_batch() as rows:
            self._connection.register("rows", rows)
            return _sum_of_hashes(self._connection, listed, "rows")

    def find_damage(self) -> list[str]:
        """Return faults of the file, its full-text indexes and its images."""
        self._cursor.execute("pragma integrity_check(3)")
        found = [row[0] for row in self._cursor.fetchall() if row[0] != "ok"]
        return found or [*self._search_faults(), *self._image_faults()]

    def _search_faults(self) -> Iterator[str]:
        """Yield sentences on full-text indexes that do not match their table.

        The command that compares them is an INSERT, but writes nothing.
        """
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        with closing(
            sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
        ) as db:
            names = [
                row[0]
                for row in db.execute(
                    "select name from sqlite_master where type = 'table'"
                    " and sql like 'create virtual table%fts5%'"
                )
            ]
            for name in names:
                try:
                    db.execute("begin")
                    db.execute(
                        f"insert into {quote(name)} ({quote(name)}, rank)"
                        " values ('integrity-check', 1)"
                    )
                except sqlite3.OperationalError as error:
                    if "readonly" not in str(error):
                        raise
                except sqlite3.DatabaseError:
                    yield f"{name} does not match the words of its table"
                finally:
                    if db.in_transaction:
                        db.execute("rollback")

    def _image_faults(self) -> Iterator[str]:
        """Yield sentences on images that are missing or do not match their keys."""
        with closing(sqlite3.connect(self._uri, uri=True)) as db:
            if not {"image_data", "images"} <= _tables(db):
                return
            lost = db.execute(
                "select count(*) from images where bytes is not null"
                " and image_key not in (select image_key from image_data)"
            ).fetchone()[0]
            if lost:
                yield f"{lost:,} images are missing in image_data"
            wrong = sum(
                md5(b64encode(data), usedforsecurity=False).hexdigest() != key
                for key, data in db.execute("select image_key, data from image_data")
            )
            if wrong:
                yield f"{wrong:,} images of image_data do not match their keys"


@contextmanager
def attached(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[DuckExport]:
    """Attach the DuckDB export beside gold while the block runs."""
    connection.execute(f"attach {literal(str(path))} as {ALIAS} (read_only)")
    try:
        yield DuckExport(connection, f"{ALIAS}.marts")
    finally:
        connection.execute(f"detach {ALIAS}")


@contextmanager
def opened(path: Path) -> Iterator[SqliteExport]:
    """Open the SQLite export for reading while the block runs."""
    with (
        dbapi.connect(readonly_uri(path)) as database,
        database.cursor() as cursor,
        duckdb.connect() as connection,
    ):
        cursor.adbc_statement.set_options(
            **{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)}
        )
        yield SqliteExport(path, cursor, connection)


def _run(info: dict[str, str]) -> int | None:
    run = info.get("extract_run")
    return int(run) if run else None


def _tables(db: sqlite3.Connection) -> set[str]:
    found = db.execute("select name from sqlite_master where type = 'table'")
    return {row[0] for row in found}


def _sum_of_hashes(
    connection: duckdb.DuckDBPyConnection, values: str, source: str
) -> int:
    query = f"select sum(hash({values})::hugeint) % {MODULUS} from {source}"
    return int(first_value(connection, query) or 0)


def _kind(kind: str) -> str:
    if kind.endswith("]"):
        return "text"
    if kind in INTEGERS:
        return "integer"
    return "real" if kind.startswith(REALS) else "text"


def _as_sqlite(name: str, kind: str) -> tuple[str, str]:
    """Return SQL for whether a DuckDB value is null, and for the value in SQLite."""
    column = quote(name)
    null = f"cast({column} is null as bigint)"
    if _kind(kind) == "integer":
        return null, f"coalesce(cast({column} as bigint), 0)"
    if _kind(kind) == "real":
        return null, f"coalesce(cast({column} as double), 0)"
    if kind.startswith("TIMESTAMP"):
        value = f"strftime(make_timestamp(epoch_us({column})), {ISO})"
    elif kind.endswith("]") or kind.startswith(LISTS):
        value = f"cast(to_json({column}) as varchar)"
    else:
        value = f"cast({column} as varchar)"
    return null, f"coalesce({value}, '')"


def _in_sqlite(name: str, kind: str) -> tuple[str, str]:
    """Return the same for SQLite, each of one type, as the driver requires."""
    column = quote(name)
    if _kind(kind) == "integer":
        return f"{column} is null", f"ifnull({column}, 0)"
    if _kind(kind) == "real":
        return f"{column} is null", f"ifnull({column}, 0.0)"
    return f"{column} is null", f"cast(ifnull({column}, '') as text)"
