"""The DuckDB export: a copy of the gold schema that readers have for themselves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from cclake_publish.changes import Changed
from cclake_publish.gold import SCHEMA, Gold, Table, literal, quote
from cclake_publish.told import TABLES, Told

_ALIAS = "__export"


def name_of(table: str) -> str:
    """Full SQL name of a table of the attached export."""
    return f"{_ALIAS}.{SCHEMA}.{quote(table)}"


@contextmanager
def attached(gold: Gold, path: Path) -> Iterator[None]:
    """Have the export attached beside gold; it is whole on the disk at the end."""
    run = gold.connection.execute
    run(f"attach {literal(path)} as {_ALIAS} (storage_version 'v1.2.0')")
    try:
        run(f"create schema if not exists {_ALIAS}.{SCHEMA}")
        yield
        run(f"checkpoint {_ALIAS}")
    finally:
        run(f"detach {_ALIAS}")


@contextmanager
def writing(gold: Gold) -> Iterator[None]:
    """Copy every gold table, exactly as it is, while the body runs.

    The body leaves the connection to this; cursors of it are its own.
    """
    stop = Event()

    def copy_all() -> None:
        for table in gold.tables:
            if not stop.is_set():
                copy_table(gold, table)

    with ThreadPoolExecutor(1) as thread:
        copied = thread.submit(copy_all)
        try:
            yield
        except BaseException:
            stop.set()
            gold.connection.interrupt()
            raise
        copied.result()


def copy_table(gold: Gold, table: Table) -> None:
    """Copy one gold table, in place of the one that is there."""
    gold.connection.execute(
        f"create or replace table {name_of(table.name)} as"
        f" from {gold.source(table.name)}"
    )
    if table.build:
        gold.connection.execute(
            f"comment on table {name_of(table.name)} is {literal(table.build)}"
        )


def builds(gold: Gold) -> dict[str, str]:
    """The builds that the tables of the attached export were copied from."""
    found = gold.connection.execute(
        "select table_name, comment from duckdb_tables()"
        " where database_name = ? and schema_name = ? and comment is not null",
        [_ALIAS, SCHEMA],
    )
    return dict(found.fetchall())


def has(gold: Gold, table: str) -> bool:
    """Whether the attached export has a table."""
    return table in columns(gold)


def update_table(gold: Gold, table: Table, changed: Changed) -> None:
    """Replace the changed units of one table."""
    run, target = gold.connection.execute, name_of(table.name)
    run(f"delete from {target} as t using {changed.name} as c where"
        f" {changed.in_export('t', 'c')}")  # fmt: skip
    run(f"insert into {target} select t.* from {gold.source(table.name)} as t"
        f" semi join {changed.name} as c on {changed.in_gold('t', 'c')}")  # fmt: skip


def columns(gold: Gold) -> dict[str, list[tuple[str, str]]]:
    """The tables of the attached export, each with its columns and their types."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in gold.connection.execute(
        "select table_name, column_name, data_type from duckdb_columns()"
        " where database_name = ? and schema_name = ? and table_name not in (?, ?)"
        " order by table_name, column_index",
        [_ALIAS, SCHEMA, *(told.name for told in TABLES)],
    ).fetchall():
        found.setdefault(table, []).append((name, kind))
    return found


def drop_table(gold: Gold, name: str) -> None:
    """Remove a table that gold no longer has."""
    gold.connection.execute(f"drop table {name_of(name)}")


def write_told(gold: Gold, told: Told) -> None:
    """Write what stands in an export besides gold."""
    for table in TABLES:
        told.write(gold, table, name_of(table.name))
