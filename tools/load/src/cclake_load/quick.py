"""The answer to "anything new?" without loading the lake's libraries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from cclake_lake.head import UNREADABLE, metadata
from cclake_lake.lake import Lake

from cclake_load import raw
from cclake_load.names import BASE, RUN
from cclake_load.outcome import NOTHING, Outcome


def nothing_new(lake: Lake, path: Path) -> dict[str, Any] | None:
    """The outcome of a load that would find nothing; None when it must look itself.

    Args:
        lake: The table.
        path: The DuckDB file.
    """
    try:
        table = metadata(lake)
        if not path.exists():
            return None
        with duckdb.connect(str(path), read_only=True) as db:
            at, rows = raw.position(db), raw.count(db)
            if not raw.is_complete(db) or not _stands_at(table, at):
                return None
    except (*UNREADABLE, duckdb.Error):
        return None
    return Outcome(
        NOTHING, 0, 0, rows, at.run, at.snapshot_id, at.load_id, at.born, at.removal
    ).as_dict()


def _stands_at(table: dict[str, Any], at: raw.Position) -> bool:
    """Whether the head has no rows that a load to this position lacks."""
    line = list(_lineage(table))
    newest: dict[str, str] = next(
        (s["summary"] for s in line if RUN in s["summary"]), {}
    )
    return (
        at.table_uuid == table["table-uuid"]
        and any(snapshot["snapshot-id"] == at.snapshot_id for snapshot in line)
        and int(newest[RUN]) <= at.run
        and int(newest.get(BASE, 0)) <= at.run
    )


def _lineage(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kept = {snapshot["snapshot-id"]: snapshot for snapshot in table["snapshots"]}
    snapshot = kept.get(table["current-snapshot-id"])
    while snapshot:
        yield snapshot
        snapshot = kept.get(snapshot.get("parent-snapshot-id"))
