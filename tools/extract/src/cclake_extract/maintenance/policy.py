"""Decide when an extraction maintains the table, and do it."""

from dataclasses import asdict
from typing import Any

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot

from cclake_extract.maintenance.compact import SMALL_ROWS, compact
from cclake_extract.maintenance.expire import KEEP, expire
from cclake_extract.maintenance.orphans import sweep_orphans
from cclake_extract.watermark import lineage

EVERY = 20
SNAPSHOTS = KEEP + 60


def due(table: Table, every: int = EVERY) -> bool:
    """Return whether there are enough small commits or snapshots; open no file."""
    commits = 0
    for snapshot in lineage(table, table.current_snapshot()):
        if not snapshot.summary or snapshot.summary.operation != Operation.APPEND:
            break
        commits += _rows_of_a_file(snapshot) < SMALL_ROWS
    return commits >= every or len(table.metadata.snapshots) > SNAPSHOTS


def maintain(table: Table) -> dict[str, Any]:
    """Compact, expire and delete orphans; return what was done."""
    compacted = compact(table)
    expired = expire(table)
    return {
        "compacted": asdict(compacted),
        "expired": asdict(expired),
        "orphans": len(sweep_orphans(table)),
    }


def _rows_of_a_file(snapshot: Snapshot) -> float:
    added = snapshot.summary.additional_properties if snapshot.summary else {}
    files = int(added.get("added-data-files", 0)) or 1
    return int(added.get("added-records", 0)) / files
