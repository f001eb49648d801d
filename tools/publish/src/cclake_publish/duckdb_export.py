"""Write the DuckDB export: a copy of the gold schema for readers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import time

import duckdb

from cclake_publish.atomic import replacing
from cclake_publish.export_info import TABLES, Info
from cclake_publish.gold import SCHEMA, Gold, Table, literal, quote
from cclake_publish.indexes import VIEWS

NAME = "analytics.duckdb"
_ALIAS = "__export"


def age(folder: Path) -> float:
    """Return the seconds since the copy was written; infinite if there is none."""
    path = folder / NAME
    return time() - path.stat().st_mtime if path.exists() else float("inf")


@contextmanager
def copying(gold: Gold, folder: Path, info: Info) -> Iterator[None]:
    """Copy gold unchanged while the body runs; then replace the previous copy."""
    connection = gold.connection.cursor()
    with replacing(folder / NAME) as path:
        stop = Event()
        with ThreadPoolExecutor(1) as thread:
            copied = thread.submit(_copy_all, gold, connection, path, info, stop)
            try:
                yield
            except BaseException:
                stop.set()
                connection.interrupt()
                raise
            copied.result()


def _copy_all(
    gold: Gold,
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    info: Info,
    stop: Event,
) -> None:
    run = connection.execute
    run(f"attach {literal(path)} as {_ALIAS} (storage_version 'v1.2.0')")
    try:
        run(f"create schema {_ALIAS}.{SCHEMA}")
        for table in gold.tables:
            if not stop.is_set():
                run(f"create table {_name(table)} as from {gold.source(table.name)}")
        run(f"use {_ALIAS}.{SCHEMA}")
        for view, sql in VIEWS.items():
            if gold.has(view):
                run(f"create view {quote(view)} as {sql}")
        digests = {f"digest.{t.name}": gold.digest(t, connection) for t in gold.tables}
        info = replace(info, facts=info.facts | digests)
        for table in TABLES:
            connection.register("rows", info.rows(table))
            run(f"create table {_name(table)} as from rows")
        run(f"checkpoint {_ALIAS}")
    finally:
        run("use memory.main")
        run(f"detach {_ALIAS}")


def _name(table: Table) -> str:
    """Full SQL name of a table of the attached copy."""
    return f"{_ALIAS}.{SCHEMA}.{quote(table.name)}"
