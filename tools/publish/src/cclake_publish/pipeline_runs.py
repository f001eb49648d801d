"""Publish the log of pipeline runs for the pages."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cclake_common.sqlite import connect_readonly

from cclake_publish.gold import Column, Table

TABLE = Table(
    "pipeline_runs",
    (
        Column("run_id", "BIGINT"),
        Column("started_at", "VARCHAR"),
        Column("ended_at", "VARCHAR"),
        Column("mode", "VARCHAR"),
        Column("watermark", "BIGINT"),
        Column("outcome", "VARCHAR"),
        Column("stage", "VARCHAR"),
        Column("stage_rows", "BIGINT"),
        Column("stage_seconds", "DOUBLE"),
        Column("stage_outcome", "VARCHAR"),
        Column("detail", "VARCHAR"),
    ),
)
NEWEST = 200
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
    """Return the stages of the newest runs; empty without a log.

    The run that publishes is among them, and still running.
    """
    if not record.exists():
        return []
    try:
        with closing(connect_readonly(record)) as db:
            return db.execute(_QUERY).fetchall()
    except sqlite3.Error:  # a log of another version must not prevent publication
        return []
