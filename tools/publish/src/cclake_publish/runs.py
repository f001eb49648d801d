"""The record of pipeline runs, published for the pages."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cclake_publish.gold import Gold

RUNS = "pipeline_runs"
NEWEST = 200
_COLUMNS = (
    ("run_id", "bigint"),
    ("started_at", "varchar"),
    ("ended_at", "varchar"),
    ("mode", "varchar"),
    ("watermark", "bigint"),
    ("outcome", "varchar"),
    ("stage", "varchar"),
    ("stage_rows", "bigint"),
    ("stage_seconds", "double"),
    ("stage_outcome", "varchar"),
    ("detail", "varchar"),
)
_QUERY = f"""
select
    runs.run_id, started_at, ended_at, mode, watermark, runs.outcome,
    stage, rows, seconds, stages.outcome, detail
from (select * from runs order by run_id desc limit {NEWEST}) as runs
left join stages on stages.run_id = runs.run_id
order by runs.run_id, stages.rowid
"""
Rows = list[tuple[Any, ...]]


def read(record: Path) -> Rows:
    """The stages of the newest runs; empty where there is no record.

    The run that publishes is among them, and still running.
    """
    if not record.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{record.as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(_QUERY).fetchall()
    except sqlite3.Error:  # a record of another version: gold is worth more
        return []


def write_sqlite(export: sqlite3.Connection, rows: Rows) -> None:
    """Write the table into the SQLite export."""
    kinds = {"bigint": "INTEGER", "varchar": "TEXT", "double": "REAL"}
    columns = ", ".join(f"{name} {kinds[kind]}" for name, kind in _COLUMNS)
    export.execute(f"drop table if exists {RUNS}")
    export.execute(f"create table {RUNS} ({columns})")
    marks = ", ".join("?" * len(_COLUMNS))
    export.executemany(f"insert into {RUNS} values ({marks})", rows)


def write_duckdb(gold: Gold, target: str, rows: Rows) -> None:
    """Write the table into the attached DuckDB export, as `target`."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS)
    gold.connection.execute(f"create or replace table {target} ({columns})")
    lists = ", ".join(f"unnest(?::{kind}[])" for _, kind in _COLUMNS)
    values = [list(column) for column in zip(*rows, strict=True)]
    if rows:
        gold.connection.execute(f"insert into {target} select {lists}", values)
