"""Read the target of a load, and its files, with pyiceberg."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cclake_common.failure import Failure
from cclake_lake.properties import BASE, RUN, WATERMARKS
from pyiceberg.conversions import from_bytes
from pyiceberg.table import DataScan, Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.types import LongType


@dataclass(frozen=True)
class SnapshotTarget:
    """A snapshot as a `Target`; `snapshot` is None for an empty table.

    Attributes:
        run: Number of its newest extraction run.
        base: Number of the run that last rebuilt the whole table, or 0.
        watermarks: The watermarks of the buffers, as JSON.
    """

    table: Table
    snapshot: Snapshot | None
    run: int = 0
    base: int = 0
    watermarks: str | None = None

    @property
    def snapshot_id(self) -> int | None:
        """Return the id of the snapshot."""
        return self.snapshot.snapshot_id if self.snapshot else None

    @property
    def uuid(self) -> str:
        """Return the UUID of the table, which changes after drop and create."""
        return str(self.table.metadata.table_uuid)

    def descends_from(self, snapshot_id: int | None) -> bool:
        """Return whether a snapshot is this one or a kept ancestor of it."""
        return any(
            s.snapshot_id == snapshot_id for s in lineage(self.table, self.snapshot)
        )

    @property
    def fields(self) -> dict[int, str]:
        """Return the names of the columns by their field ids."""
        return {field.field_id: field.name for field in self.table.schema().fields}

    def batches(self, after: int | None = None) -> Any:
        """Return the rows of runs above `after` as a reader of Arrow batches."""
        return self._scan(after).to_arrow_batch_reader()

    def _scan(self, after: int | None = None) -> DataScan:
        condition = "true" if after is None else f"extract_run > {int(after)}"
        return self.table.scan(condition, snapshot_id=self.snapshot_id)

    def files(self, after: int | None = None) -> list[str]:
        """Return the data files to read, oldest run first."""
        field = self.table.schema().find_field("extract_run").field_id

        def oldest(bounds: dict[int, bytes] | None) -> int:
            value = (bounds or {}).get(field)
            return int(from_bytes(LongType(), value)) if value else 0

        tasks = self._scan(after).plan_files() if self.snapshot else ()
        found = [(oldest(t.file.lower_bounds), t.file.file_path) for t in tasks]
        return [path for _, path in sorted(found)]


def target_of(table: Table, as_of: str | None = None) -> SnapshotTarget:
    """Return the head, or the snapshot with an id or at a time.

    Raises:
        Failure: There is no such snapshot.
    """
    snapshot = _find(table, as_of) if as_of else table.current_snapshot()
    for found in lineage(table, snapshot):
        summary = found.summary.additional_properties if found.summary else {}
        if RUN in summary:
            return SnapshotTarget(
                table,
                snapshot,
                run=int(summary[RUN]),
                base=int(summary.get(BASE, 0)),
                watermarks=summary.get(WATERMARKS),
            )
    return SnapshotTarget(table, snapshot)


def lineage(table: Table, snapshot: Snapshot | None) -> Iterator[Snapshot]:
    """Yield a snapshot and its ancestors, as far as they are kept."""
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parent_snapshot_id
        snapshot = table.metadata.snapshot_by_id(parent) if parent is not None else None


def _find(table: Table, as_of: str) -> Snapshot:
    if as_of.isdecimal():
        found = table.snapshot_by_id(int(as_of))
    else:
        try:
            moment = datetime.fromisoformat(as_of)
        except ValueError as error:
            raise Failure(
                f"{as_of} is neither a snapshot id nor a time",
                "Give an id of `extract table snapshots`, or a time such as"
                " 2026-01-31T12:00:00Z.",
                2,
            ) from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))
    if found is None:
        raise Failure(
            f"the table has no snapshot {as_of}",
            "`extract table snapshots` lists those that are kept.",
        )
    return found
