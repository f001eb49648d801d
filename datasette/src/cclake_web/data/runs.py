"""Read the log of pipeline runs from the pipeline, or else from the export."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cclake_common.sqlite import connect_readonly
from cclake_common.times import moment

MOST = 60
_ROWS = "run_id, started_at, ended_at, mode, outcome, stage"
_EXPORT = f"""select {_ROWS}, stage_rows as rows, stage_seconds as seconds,
    stage_outcome, detail
from pipeline_runs order by run_id desc, rowid"""
_RECORD = """select r.run_id, r.started_at, r.ended_at, r.mode, r.outcome,
    s.stage, s.rows, s.seconds, s.outcome as stage_outcome, s.detail
from (select * from runs order by run_id desc limit ?) r
left join stages s on s.run_id = r.run_id order by r.run_id desc, s.rowid"""


@dataclass
class Stage:
    """A stage of a run."""

    name: str
    rows: int | None
    seconds: float | None
    outcome: str
    detail: str


@dataclass
class Run:
    """A run of the pipeline."""

    number: int
    started_at: str
    ended_at: str
    mode: str
    outcome: str
    stages: list[Stage] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """Its duration in seconds, or None while it runs."""
        begin, end = moment(self.started_at), moment(self.ended_at)
        return (end - begin).total_seconds() if begin and end else None

    @property
    def bad(self) -> bool:
        """Whether it failed."""
        return self.outcome in ("failed", "interrupted")


def runs(connection: sqlite3.Connection, record: Path | None) -> list[Run]:
    """Return the newest runs first.

    Args:
        connection: Of the export.
        record: The pipeline's own log, which also has the runs that failed and
            published nothing; None if it is not available.
    """
    if record and record.exists():
        try:
            with closing(connect_readonly(record)) as own:
                own.row_factory = sqlite3.Row
                return _gathered(own.execute(_RECORD, (MOST,)).fetchall())
        except sqlite3.Error:
            pass  # written by another version, or incomplete: use the export
    try:
        found = _gathered(connection.execute(_EXPORT).fetchall())
    except sqlite3.OperationalError as error:
        if "no such" in str(error):  # the export of an older version
            return []
        raise
    for run in found[:1]:
        # The run that published was still running then.
        run.outcome = (
            "published this export" if run.outcome == "running" else run.outcome
        )
    return found


def _gathered(rows: list[Any]) -> list[Run]:
    found: dict[int, Run] = {}
    for row in rows:
        run = found.get(row["run_id"])
        if run is None:
            if len(found) == MOST:
                break
            run = found[row["run_id"]] = Run(
                row["run_id"], row["started_at"] or "", row["ended_at"] or "",
                row["mode"] or "", row["outcome"] or "",
            )  # fmt: skip
        if row["stage"]:
            run.stages.append(
                Stage(row["stage"], row["rows"], row["seconds"],
                      row["stage_outcome"] or "", row["detail"] or "")
            )  # fmt: skip
    return list(found.values())


def published_at(connection: sqlite3.Connection) -> str:
    """Return when the export was made."""
    sql = "select value from export_info where name = 'published_at'"
    row = connection.execute(sql).fetchone()
    return str(row[0]) if row else ""
