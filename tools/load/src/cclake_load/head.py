"""Find what is new from the table's metadata alone, without importing pyiceberg."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import orjson
from cclake_lake.metadata import UNREADABLE, read_metadata
from cclake_lake.properties import BASE, FILES, RUN, WATERMARKS
from cclake_lake.settings import Lake

from cclake_load import raw
from cclake_load.outcome import NOTHING, Outcome
from cclake_load.target import Unknown


@dataclass(frozen=True)
class Head:
    """The head of the table as a `Target`, if extractions only appended to it.

    Attributes:
        table: The table's metadata, as Iceberg's specification names it.
    """

    table: dict[str, Any]

    @cached_property
    def _lineage(self) -> list[dict[str, Any]]:
        """The head and its ancestors, as far as they are kept."""
        kept = {
            snapshot["snapshot-id"]: snapshot for snapshot in self.table["snapshots"]
        }
        found, snapshot = [], kept.get(self.snapshot_id)
        while snapshot:
            found.append(snapshot)
            snapshot = kept.get(snapshot.get("parent-snapshot-id"))
        return found

    @cached_property
    def _newest(self) -> dict[str, str]:
        return next((s["summary"] for s in self._lineage if RUN in s["summary"]), {})

    @property
    def run(self) -> int:
        """Return the number of its newest extraction run."""
        return int(self._newest[RUN])

    @property
    def base(self) -> int:
        """Return the number of the run that last rebuilt the absolute table, or 0."""
        return int(self._newest.get(BASE, 0))

    @property
    def watermarks(self) -> str | None:
        """Return the watermarks of the buffers as JSON."""
        return self._newest.get(WATERMARKS)

    @property
    def snapshot_id(self) -> int | None:
        """Return its id."""
        found: int | None = self.table["current-snapshot-id"]
        return found

    @property
    def uuid(self) -> str:
        """Return the UUID of the table."""
        return str(self.table["table-uuid"])

    @property
    def fields(self) -> dict[int, str]:
        """Return the names of the columns by their field ids."""
        (schema,) = (
            schema
            for schema in self.table["schemas"]
            if schema["schema-id"] == self.table["current-schema-id"]
        )
        return {field["id"]: field["name"] for field in schema["fields"]}

    def descends_from(self, snapshot_id: int | None) -> bool:
        """Return whether a snapshot is this one or a kept ancestor of it."""
        return any(snapshot["snapshot-id"] == snapshot_id for snapshot in self._lineage)

    def files(self, after: int | None = None) -> list[str]:
        """Return the data files of the extractions above `after`, oldest run first.

        Raises:
            Unknown: Not only extractions came after it.
        """
        found: list[str] = []
        for snapshot in self._lineage:
            summary = snapshot["summary"]
            if after is None or RUN not in summary:
                raise Unknown
            if int(summary[RUN]) <= after:
                return found
            if FILES not in summary:
                raise Unknown
            names = orjson.loads(summary[FILES])
            found = [self._address(name) for name in names] + found
        raise Unknown

    def batches(self, after: int | None = None) -> Any:
        """Raise Unknown: files that are not local need pyiceberg."""
        raise Unknown

    def _address(self, name: str) -> str:
        absolute = name.startswith("/") or "://" in name
        return name if absolute else f"{self.table['location']}/{name}"


def check(lake: Lake, path: Path) -> dict[str, Any] | Head | None:
    """Return what a load without options has to do.

    Args:
        lake: The table.
        path: The DuckDB file.

    Returns:
        The outcome if nothing is new; the head if only extractions came since;
        None if the load must ask the catalog.
    """
    try:
        head = Head(read_metadata(lake))
        if not path.exists():
            return None
        with duckdb.connect(str(path), read_only=True) as db:
            at, rows = raw.position(db), raw.count(db)
            if not raw.is_complete(db) or not _only_appended(head, at):
                return None
        if head.run > at.run:
            return head if head.files(at.run) else None
    except (*UNREADABLE, Unknown, duckdb.Error):
        return None
    return Outcome(
        NOTHING, 0, 0, rows, at.run, at.snapshot_id, at.load_id, at.born, at.removal
    ).as_dict()


def _only_appended(head: Head, at: raw.Position) -> bool:
    """Return whether no loaded row has to be deleted."""
    return (
        at.table_uuid == head.uuid
        and head.descends_from(at.snapshot_id)
        and head.base <= at.run
    )
