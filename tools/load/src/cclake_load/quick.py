"""What the table's metadata alone tells, without loading the lake's libraries."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import orjson
from cclake_lake.metadata import UNREADABLE, read_metadata
from cclake_lake.settings import Lake

from cclake_load import raw
from cclake_load.aim import Unknown
from cclake_load.names import BASE, FILES, RUN, WATERMARKS
from cclake_load.outcome import NOTHING, Outcome


@dataclass(frozen=True)
class Head:
    """The head of the table as an `Aim`, for what extractions have appended.

    Attributes:
        table: The table's metadata, in the words of Iceberg's specification.
    """

    table: dict[str, Any]

    @cached_property
    def _line(self) -> list[dict[str, Any]]:
        """The head, its parent and so on, as far as they are kept."""
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
        return next((s["summary"] for s in self._line if RUN in s["summary"]), {})

    @property
    def run(self) -> int:
        """Number of its newest extraction run."""
        return int(self._newest[RUN])

    @property
    def base(self) -> int:
        """Number of the run that last rebuilt the whole table, or 0."""
        return int(self._newest.get(BASE, 0))

    @property
    def watermarks(self) -> str | None:
        """Up to which seq each buffer is in it, as JSON."""
        return self._newest.get(WATERMARKS)

    @property
    def snapshot_id(self) -> int | None:
        """Its id."""
        found: int | None = self.table["current-snapshot-id"]
        return found

    @property
    def uuid(self) -> str:
        """Identity of the table."""
        return str(self.table["table-uuid"])

    @property
    def fields(self) -> dict[int, str]:
        """The names of the columns by their field ids."""
        (schema,) = (
            schema
            for schema in self.table["schemas"]
            if schema["schema-id"] == self.table["current-schema-id"]
        )
        return {field["id"]: field["name"] for field in schema["fields"]}

    def descends_from(self, snapshot_id: int | None) -> bool:
        """Return whether a snapshot is this one or an ancestor that is still kept."""
        return any(snapshot["snapshot-id"] == snapshot_id for snapshot in self._line)

    def files(self, after: int | None = None) -> list[str]:
        """Return the data files of the extractions above `after`, oldest run first.

        Raises:
            Unknown: Something else is among what came after.
        """
        found: list[str] = []
        for snapshot in self._line:
            summary = snapshot["summary"]
            if after is None or RUN not in summary:
                raise Unknown
            if int(summary[RUN]) <= after:
                return found
            if FILES not in summary:
                raise Unknown
            names = orjson.loads(summary[FILES])
            found = [self._place(name) for name in names] + found
        raise Unknown

    def batches(self, after: int | None = None) -> Any:
        """Files that are not local need the lake's libraries."""
        raise Unknown

    def _place(self, name: str) -> str:
        whole = name.startswith("/") or "://" in name
        return name if whole else f"{self.table['location']}/{name}"


def look(lake: Lake, path: Path) -> dict[str, Any] | Head | None:
    """Return what a plain load has to do.

    Args:
        lake: The table.
        path: The DuckDB file.

    Returns:
        The outcome where nothing is new; the head where only extractions came since;
        None where the load must look itself.
    """
    try:
        head = Head(read_metadata(lake))
        if not path.exists():
            return None
        with duckdb.connect(str(path), read_only=True) as db:
            at, rows = raw.position(db), raw.count(db)
            if not raw.is_complete(db) or not _goes_on(head, at):
                return None
        if head.run > at.run:
            return head if head.files(at.run) else None
    except (*UNREADABLE, Unknown, duckdb.Error):
        return None
    return Outcome(
        NOTHING, 0, 0, rows, at.run, at.snapshot_id, at.load_id, at.born, at.removal
    ).as_dict()


def _goes_on(head: Head, at: raw.Position) -> bool:
    """Return whether nothing has to be taken out of what was loaded."""
    return (
        at.table_uuid == head.uuid
        and head.descends_from(at.snapshot_id)
        and head.base <= at.run
    )
