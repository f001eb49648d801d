"""The marts that pages read, made of any facts by the models of the project."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
import yaml  # type: ignore[import-untyped]

DBT = Path(__file__).parents[2] / "dbt"
MARTS = (
    "agg_response_quarters", "agg_call_quarters", "agg_message_quarters",
    "agg_turn_metrics",
)  # fmt: skip
# What the models read, and the table of an export that has it.
SOURCES = {
    "fct_api_responses": "fct_api_responses",
    "fct_response_items": "fct_response_items",
    "fct_tool_calls": "fct_tool_calls",
    "fct_messages": "fct_messages",
    "int_sessions_computed": "dim_sessions",
    "int_session_versions": "dim_sessions",
}
_PYTHON = {"varchar": str, "boolean": bool, "double": float, "decimal": float}


@cache
def columns(table: str) -> dict[str, str]:
    """The columns of a mart with their types, by its contract."""
    (file,) = DBT.glob(f"models/marts/*/{table}.yml")
    described = yaml.safe_load(file.read_text())
    (model,) = described["models"]
    return {one["name"]: one["data_type"] for one in model["columns"]}


def duckdb_macros(*files: str) -> jinja2.Environment:
    """An environment with the macros of some files, as DuckDB gets them."""
    loader = jinja2.FileSystemLoader([DBT / "macros", DBT / "models/marts/aggregates"])
    environment = jinja2.Environment(loader=loader, autoescape=False)
    environment.globals["adapter"] = SimpleNamespace(dispatch=_for_duckdb)
    for macros in ("engines.sql", *files):
        environment.globals |= vars(environment.get_template(macros).module)
    return environment


@cache
def sql_of(mart: str) -> str:
    """The query of a model, as dbt runs it in a full build."""
    environment = duckdb_macros("bounds.sql", "quarters.sql", "usage.sql")
    return environment.get_template(f"{mart}.sql").render(
        config=lambda **_: "",
        ref=lambda name: f"marts.{SOURCES[name]}",
        newer=lambda *_, **__: "true",
        price_list=lambda: "'test'",
        within_reach=lambda relation, *_, **__: f"select * from {relation}",
        changed_sessions=lambda: "select session_id from marts.dim_sessions",
    )


@jinja2.pass_context
def _for_duckdb(context: jinja2.runtime.Context, name: str, _package: str) -> Any:
    return context.resolve(f"duckdb__{name}")


def build(gold: duckdb.DuckDBPyConnection) -> None:
    """Make the marts in a database that has the facts in its schema `marts`."""
    for mart in MARTS:
        gold.execute(f"create table marts.{mart} as {sql_of(mart)}")


def add(export: sqlite3.Connection) -> None:
    """Make the marts of a SQLite export, of the facts that it has."""
    with duckdb.connect() as gold:
        gold.execute("create schema marts; set TimeZone = 'UTC'")
        for table in dict.fromkeys(SOURCES.values()):
            _copy(export, gold, table)
        build(gold)
        for mart in MARTS:
            names = list(columns(mart))
            found = gold.execute(f"select {', '.join(names)} from marts.{mart}")
            export.execute(f"drop table if exists {mart}")
            export.execute(f"create table {mart} ({', '.join(names)})")
            export.executemany(
                f"insert into {mart} values ({', '.join('?' * len(names))})",
                ([_plain(value) for value in row] for row in found.fetchall()),
            )


def _copy(
    export: sqlite3.Connection, gold: duckdb.DuckDBPyConnection, table: str
) -> None:
    kinds = columns(table)
    described = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    gold.execute(f"create table marts.{table} ({described})")
    info = export.execute(f"pragma table_info({table})").fetchall()
    known = [row[1] for row in info if row[1] in kinds]
    rows = export.execute(f"select {', '.join(known)} from {table}").fetchall()
    if rows:
        values = zip(*map(tuple, rows), strict=True)
        made = {
            name: _typed(column, kinds[name])
            for name, column in zip(known, values, strict=True)
        }
        gold.register("given", pa.table(made))
        gold.execute(f"insert into marts.{table} by name select * from given")
        gold.unregister("given")


def _typed(values: Iterable[Any], kind: str) -> pa.Array:
    # Times are given as texts, and cast where they are inserted.
    make = next((to for name, to in _PYTHON.items() if kind.startswith(name)), None)
    if kind.startswith("timestamp") or kind == "date":
        make = str
    elif make is None:
        make = int
    return pa.array([None if value is None else make(value) for value in values])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return float(value) if isinstance(value, Decimal) else value
