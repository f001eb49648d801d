"""Describe the table, its snapshots, files and history."""

from datetime import UTC, datetime
from typing import Any

from cclake_common.failure import Failure
from cclake_lake.properties import RUN
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from cclake_extract.partitions import described
from cclake_extract.watermark import state_of

Row = dict[str, Any]


def info(table: Table) -> Row:
    """Return the place, the size and the watermarks of the table."""
    head = table.current_snapshot()
    totals = _summary(head)
    state = state_of(table)
    return {
        "table": ".".join(table.name()),
        "location": table.location(),
        "metadata": table.metadata_location,
        "uuid": str(table.metadata.table_uuid),
        "format_version": table.metadata.format_version,
        "rows": int(totals.get("total-records", 0)),
        "files": int(totals.get("total-data-files", 0)),
        "bytes": int(totals.get("total-files-size", 0)),
        "snapshots": len(table.metadata.snapshots),
        "snapshot_id": _id(head.snapshot_id if head else None),
        "updated_at": _when(head.timestamp_ms) if head else None,
        "extract_run": state.run,
        "watermarks": state.watermarks,
        "partitions": described(table.schema(), table.spec()),
        "columns": {f.name: str(f.field_type) for f in table.schema().fields},
        "properties": dict(table.properties),
    }


def snapshots(table: Table) -> list[Row]:
    """Return the snapshots that are kept, oldest first."""
    head = table.current_snapshot()
    return [
        {
            "snapshot_id": str(snapshot.snapshot_id),
            "parent_id": _id(snapshot.parent_snapshot_id),
            "at": _when(snapshot.timestamp_ms),
            "operation": snapshot.summary.operation.value if snapshot.summary else "",
            "extract_run": int(_summary(snapshot).get(RUN, 0)),
            "added_rows": int(_summary(snapshot).get("added-records", 0)),
            "rows": int(_summary(snapshot).get("total-records", 0)),
            "files": int(_summary(snapshot).get("total-data-files", 0)),
            "head": head is not None and snapshot.snapshot_id == head.snapshot_id,
        }
        for snapshot in sorted(table.metadata.snapshots, key=lambda s: s.timestamp_ms)
    ]


def files(table: Table) -> list[Row]:
    """Return the data files of the head."""
    specs, schema = table.specs(), table.schema()
    return [
        {
            "path": task.file.file_path,
            "rows": task.file.record_count,
            "bytes": task.file.file_size_in_bytes,
            "partition": specs[task.file.spec_id].partition_to_path(
                task.file.partition, schema
            ),
        }
        for task in table.scan().plan_files()
    ]


def history(table: Table) -> list[Row]:
    """Return the snapshots that became the head, with the time."""
    return [
        {"at": _when(entry.timestamp_ms), "snapshot_id": str(entry.snapshot_id)}
        for entry in table.metadata.snapshot_log
    ]


def _id(snapshot: int | None) -> str | None:
    return None if snapshot is None else str(snapshot)


def find(table: Table, wanted: str) -> Snapshot:
    """Return the snapshot with an id, or the one that was the head at a time.

    Raises:
        Failure: It is neither, or there is no such snapshot.
    """
    if wanted.isdecimal():
        found = table.snapshot_by_id(int(wanted))
    else:
        try:
            moment = datetime.fromisoformat(wanted)
        except ValueError as error:
            raise Failure(
                f"{wanted} is neither a snapshot id nor a time",
                "Give an id of `extract table snapshots`, or 2026-01-31T12:00:00Z.",
                2,
            ) from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))
    if found is None:
        raise Failure(
            f"the table has no snapshot {wanted}",
            "`extract table snapshots` lists those that are kept.",
        )
    return found


def _summary(snapshot: Snapshot | None) -> dict[str, str]:
    if snapshot is None or snapshot.summary is None:
        return {}
    return snapshot.summary.additional_properties


def _when(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
