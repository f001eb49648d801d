"""Bring `raw.conversations` to a snapshot, in one transaction."""

import duckdb

from cclake_load import lake_rows, raw
from cclake_load.outcome import FULL, INCREMENTAL, NOTHING, RECONCILE, Outcome
from cclake_load.target import Target


def load(
    db: duckdb.DuckDBPyConnection, target: Target | None, full: bool = False
) -> Outcome:
    """Make `raw.conversations` equal to a snapshot of the lake.

    Args:
        db: The open database.
        target: The snapshot; None when there is no table yet.
        full: Load all rows again.

    Raises:
        duckdb.Error: A file can't be read; the database is unchanged.
    """
    raw.prepare(db)
    at = raw.position(db)
    mode = FULL if full else mode_of(target, at)
    rows = removed = 0
    if mode != NOTHING:
        with transaction(db):
            rows, removed = _change(db, target, at, mode)
            _record(db, target, rows, removed, mode)
        at = raw.position(db)
    return Outcome(
        mode, rows, removed, raw.count(db),
        at.run, at.snapshot_id, at.load_id, at.born, at.removal,
    )  # fmt: skip


def mode_of(target: Target | None, at: raw.Position) -> str:
    """Return the mode of the load from a position to a snapshot."""
    if target is None or target.snapshot_id is None:
        return NOTHING if at.snapshot_id is None else FULL
    if at.snapshot_id is None or at.table_uuid != target.uuid:
        return FULL
    if not target.descends_from(at.snapshot_id) or target.base > at.run:
        return RECONCILE
    return INCREMENTAL if target.run > at.run else NOTHING


def _change(
    db: duckdb.DuckDBPyConnection, target: Target | None, at: raw.Position, mode: str
) -> tuple[int, int]:
    if mode == INCREMENTAL and target:
        added = lake_rows.insert(db, target, after=at.run)
        return added - lake_rows.delete_duplicates(db, at.run), 0
    if mode == RECONCILE and target:
        return _reconcile(db, target)
    before = raw.count(db)
    raw.create(db, empty=True)
    if target is None or target.snapshot_id is None:
        return 0, before
    added = lake_rows.insert(db, target)
    return added - lake_rows.delete_duplicates(db), before


def _reconcile(db: duckdb.DuckDBPyConnection, target: Target) -> tuple[int, int]:
    """Delete the runs that the snapshot lacks; add those that are missing."""
    have, want = raw.runs(db), lake_rows.runs(db, target)
    wrong = [run for run, found in have.items() if want.get(run) != found]
    missing = [run for run, found in want.items() if have.get(run) != found]
    removed = db.execute(
        "delete from raw.conversations where extract_run in (select unnest(?))", [wrong]
    ).fetchone()
    added = lake_rows.insert(db, target, only=missing) if missing else 0
    return added - lake_rows.delete_duplicates(db), removed[0] if removed else 0


def _record(
    db: duckdb.DuckDBPyConnection,
    target: Target | None,
    rows: int,
    removed: int,
    mode: str,
) -> None:
    known = target.snapshot_id if target else None
    db.execute(
        "insert into raw.loads (load_id, extract_run, snapshot_id, table_uuid, rows,"
        " removed, mode, loaded_at, watermarks) select coalesce(max(load_id), 0) + 1,"
        " ?, ?, ?, ?, ?, ?, now(), ? from raw.loads",
        [
            target.run if target else 0,
            known,
            target.uuid if target else None,
            rows,
            removed,
            mode,
            target.watermarks if target else None,
        ],
    )


class transaction:  # noqa: N801 - reads as a statement
    """Commits at the end, and rolls back after any exception."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.begin()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._db.commit()
        else:
            self._db.rollback()
