"""Report the outcome of an extraction, to people and to scripts."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Outcome:
    """The outcome of an extraction.

    Attributes:
        rows: Rows committed.
        commits: Number of snapshots committed.
        dead: Documents that became dead letters.
        run: Number of the newest commit with rows.
        snapshot_id: Head of the table afterwards; None while it is empty.
        watermarks: The watermark of each buffer in the table.
        ahead: Buffers whose watermark in the table is above that in MongoDB.
    """

    rows: int = 0
    commits: int = 0
    dead: int = 0
    run: int = 0
    snapshot_id: int | None = None
    watermarks: dict[str, int] = field(default_factory=dict)
    ahead: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for `--json`; ids are text, too long for JSON numbers."""
        named = self.snapshot_id
        return asdict(self) | {"snapshot_id": None if named is None else str(named)}


def sentence(result: dict[str, Any]) -> str:
    """Return the outcome for a person."""
    if result.get("dry_run"):
        return f"{result['documents']:,} documents would be extracted"
    if not result["rows"]:
        text = "nothing new"
    else:
        text = (
            f"{result['rows']:,} rows in {result['commits']} commits,"
            f" run {result['run']}"
        )
    if result["dead"]:
        text += f"; {result['dead']} documents failed (extract dead-letters)"
    if result["ahead"]:
        text += (
            f"; MongoDB is behind the table for {', '.join(result['ahead'])},"
            " as after a restore: --full-backfill rebuilds the table from MongoDB"
        )
    return text
