"""Keep the log of runs: a small SQLite database in the data directory."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cclake_common.failure import Failure
from cclake_common.sqlite import connect_readonly, readonly_uri

from cclake_pipeline.stages import Mode, StageResult

_SCHEMA = """
create table if not exists runs (
    run_id integer primary key autoincrement,
    started_at text not null,
    ended_at text,
    mode text not null,
    watermark integer,
    outcome text not null
);
create table if not exists stages (
    run_id integer not null references runs (run_id),
    stage text not null,
    rows integer,
    seconds real,
    outcome text not null,
    detail text not null,
    primary key (run_id, stage)
);
create table if not exists meta (name text primary key, value text not null);
"""
KEEP_RUNS = 10_000


class RunLog:
    """Writes runs and their stages. Outcomes: running, done, failed, interrupted."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self._open() as db:
            with suppress(sqlite3.OperationalError):
                # If two processes create it at once, one may find it locked.
                db.execute("pragma journal_mode = wal")
            # In one transaction, so that readers see all tables or none.
            db.executescript(f"begin immediate; {_SCHEMA} commit;")

    def begin(self, mode: str, watermark: int | None) -> int:
        """Record the start of a run; mark unfinished earlier runs as interrupted.

        Args:
            mode: The mode of the run.
            watermark: Sum of MongoDB's watermarks at the start; None if unknown.

        Returns:
            The number of the run.
        """
        with self._open() as db:
            for table in ("runs", "stages"):
                db.execute(
                    f"update {table} set outcome = 'interrupted'"
                    " where outcome = 'running'"
                )
            started = db.execute(
                "insert into runs (started_at, mode, watermark, outcome)"
                " values (?, ?, ?, 'running') returning run_id",
                (_now(), mode, watermark),
            ).fetchone()
            oldest = (int(started[0]) - KEEP_RUNS,)
            db.execute("delete from stages where run_id <= ?", oldest)
            db.execute("delete from runs where run_id <= ?", oldest)
            return int(started[0])

    def begin_stage(self, run_id: int, stage: str) -> None:
        """Record that a stage has begun."""
        with self._open() as db:
            db.execute(
                "insert into stages values (?, ?, null, null, 'running', '')",
                (run_id, stage),
            )

    def end_stage(self, run_id: int, result: StageResult) -> None:
        """Record how a stage has ended."""
        with self._open() as db:
            db.execute(
                "update stages set rows = ?, seconds = ?, outcome = ?, detail = ?"
                " where run_id = ? and stage = ?",
                (
                    result.rows,
                    result.seconds,
                    result.outcome,
                    result.detail,
                    run_id,
                    result.stage,
                ),
            )

    def reached(self, run_id: int, watermark: int) -> None:
        """Record that a run has reached more than there was when it began."""
        with self._open() as db:
            db.execute(
                "update runs set watermark = ? where run_id = ?", (watermark, run_id)
            )

    def end(self, run_id: int, outcome: str) -> None:
        """Record how a run has ended."""
        with self._open() as db:
            db.execute(
                "update runs set ended_at = ?, outcome = ? where run_id = ?",
                (_now(), outcome, run_id),
            )

    def next_mode(self) -> Mode:
        """Return the mode of an automatic run: daily once a day, else incremental."""
        return "daily" if self.is_daily_due() else "incremental"

    def is_daily_due(self) -> bool:
        """Return whether a day has passed since the last run that tested all data.

        A failed one counts, too, so that it does not delay new data. On the first day,
        none is due.
        """
        with self._open() as db:
            row = db.execute(
                "select min(started_at) < :yesterday and not coalesce("
                "max(started_at) filter (where mode in ('daily', 'full', 'backfill'))"
                " >= :yesterday, 0) from runs",
                {"yesterday": _now(timedelta(days=-1))},
            ).fetchone()
            return bool(row[0])

    def last_watermark(self) -> int:
        """Return the watermark of the last run, however it ended; 0 if unknown."""
        (last,) = self.recent(1) or [{"watermark": 0}]
        return last["watermark"] or 0

    def watermark_of(self, project: str) -> int | None:
        """Return the watermark of the last run, if this dbt project completed it."""
        (last,) = self.recent(1) or [{"outcome": "none"}]
        fits = last["outcome"] == "done" and self.project() == project
        return last["watermark"] if fits else None

    def project(self) -> str | None:
        """Return the fingerprint of the dbt project that made gold; None if unknown."""
        return self._meta("project")

    def set_project(self, fingerprint: str) -> None:
        """Record the fingerprint of the dbt project that has made gold."""
        self._set_meta("project", fingerprint)

    def note(self, name: str) -> str | None:
        """Return a note that a run has left for the next one, or None.

        `published`: what was loaded when the exports were last written, and their
        identity; empty during a run. `born`: when the DuckDB file was created.
        """
        return self._meta(name)

    def set_note(self, name: str, text: str) -> None:
        """Leave a note for the next run."""
        self._set_meta(name, text)

    def _meta(self, name: str) -> str | None:
        with self._open() as db:
            query = "select value from meta where name = ?"
            row = db.execute(query, (name,)).fetchone()
            return row and str(row[0])

    def _set_meta(self, name: str, value: str) -> None:
        with self._open() as db:
            db.execute(
                "insert into meta values (?, ?)"
                " on conflict do update set value = excluded.value",
                (name, value),
            )

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest runs first, each with its `stages` in order."""
        with self._open() as db:
            return newest(db, limit)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as db, db:
                db.row_factory = sqlite3.Row
                yield db
        except sqlite3.DatabaseError as error:
            raise Failure(
                f"{self._path} cannot be used: {error}",
                "Check its permissions and the free space. If the file is damaged,"
                " delete it: it only has the log of runs, and gold is rebuilt.",
            ) from error


def _now(shift: timedelta = timedelta()) -> str:
    now = (datetime.now(UTC) + shift).isoformat(timespec="milliseconds")
    return now.replace("+00:00", "Z")


def read(path: Path, limit: int) -> list[dict[str, Any]]:
    """Return the runs, newest first, each with its `stages`.

    Raises:
        Failure: The log cannot be read.
    """
    if not path.exists():
        return []
    try:
        with closing(_open_readonly(path)) as db:
            return newest(db, limit) if _is_made(db) else []
    except sqlite3.DatabaseError as error:
        raise Failure(
            f"{path} cannot be read: {error}",
            "Check its permissions. If the file is damaged, delete it: it only has the"
            " log of runs.",
        ) from error


def newest(db: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """Return the newest runs of an open log, each with its `stages` in order."""
    db.row_factory = sqlite3.Row
    runs = db.execute(
        "select * from runs order by run_id desc limit ?", (limit,)
    ).fetchall()
    stages = "select * from stages where run_id = ? order by rowid"
    return [
        dict(run) | {"stages": [dict(s) for s in db.execute(stages, (run["run_id"],))]}
        for run in runs
    ]


def _is_made(db: sqlite3.Connection) -> bool:
    """Return whether the log has its tables, which the first run may be creating."""
    made = "select 1 from sqlite_schema where name = 'runs'"
    return db.execute(made).fetchone() is not None


def _open_readonly(path: Path) -> sqlite3.Connection:
    """Open a log read-only.

    To read a file in WAL mode, SQLite creates files beside it if no writer has it open.
    In a read-only folder it cannot; then the file is complete and can be read alone.
    """
    db = None
    try:
        db = connect_readonly(path, wait_s=10)
        db.execute("select 1 from sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if db:
            db.close()
        used = path.with_name(f"{path.name}-wal").exists()
        if used or not isinstance(error, sqlite3.OperationalError):
            raise
        return sqlite3.connect(f"{readonly_uri(path)}&immutable=1", uri=True)
    return db
