"""Read and write the watermarks and the run number of a snapshot."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
from cclake_lake.properties import BASE, LAST_RUN, RUN, WATERMARKS
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class State:
    """The progress that a snapshot records.

    Attributes:
        watermarks: For each buffer, the seq up to which the table has its lines.
        run: Number of the newest commit that added rows, or 0.
        base: Number of the last commit that rebuilt the whole table, or 0.
    """

    watermarks: dict[str, int] = field(default_factory=dict)
    run: int = 0
    base: int = 0

    def summary(self) -> dict[str, str]:
        """Return the snapshot properties that record this state."""
        marks = orjson.dumps(self.watermarks, option=orjson.OPT_SORT_KEYS)
        return {WATERMARKS: marks.decode(), RUN: str(self.run), BASE: str(self.base)}


def state_of(table: Table, snapshot: Snapshot | None = None) -> State:
    """Return the state at a snapshot, or at the head.

    A snapshot without a state, written by another engine, has that of its parent.
    """
    for found in lineage(table, snapshot or table.current_snapshot()):
        summary = found.summary.additional_properties if found.summary else {}
        if WATERMARKS in summary:
            return State(
                watermarks=orjson.loads(summary[WATERMARKS]),
                run=int(summary.get(RUN, 0)),
                base=int(summary.get(BASE, 0)),
            )
    return State()


def lineage(table: Table, snapshot: Snapshot | None) -> Iterator[Snapshot]:
    """Yield a snapshot and its ancestors, as far as they are kept."""
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parent_snapshot_id
        snapshot = table.metadata.snapshot_by_id(parent) if parent is not None else None


def last_run(table: Table) -> int:
    """Return the highest run number ever used, rolled back commits included."""
    runs = [int(table.properties.get(LAST_RUN, 0))]
    runs += [
        int(snapshot.summary.additional_properties.get(RUN, 0))
        for snapshot in table.metadata.snapshots
        if snapshot.summary
    ]
    return max(runs)
