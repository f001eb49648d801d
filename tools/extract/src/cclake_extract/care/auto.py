"""Care that comes by itself after an extraction, when there is enough of it to do."""

from dataclasses import asdict
from typing import Any

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot

from cclake_extract.care.compact import SMALL_ROWS, compact
from cclake_extract.care.expire import KEEP, expire
from cclake_extract.care.orphans import sweep_orphans
from cclake_extract.state import lineage

EVERY = 20
SNAPSHOTS = KEEP + 60


def due(table: Table, every: int = EVERY) -> bool:
    """Return whether enough small commits or snapshots exist; open no file."""
    commits = 0
    for snapshot in lineage(table, table.current_snapshot()):
        if not snapshot.summary or snapshot.summary.operation != Operation.APPEND:
            break
        commits += _added(snapshot) < SMALL_ROWS
    return commits >= every or len(table.metadata.snapshots) > SNAPSHOTS


def care(table: Table) -> dict[str, Any]:
    """Compact, expire, delete; returns what was done."""
    compacted = compact(table)
    expired = expire(table)
    return {
        "compacted": asdict(compacted),
        "expired": asdict(expired),
        "orphans": len(sweep_orphans(table)),
    }


def _added(snapshot: Snapshot) -> int:
    summary = snapshot.summary
    return int(summary.additional_properties.get("added-records", 0)) if summary else 0
