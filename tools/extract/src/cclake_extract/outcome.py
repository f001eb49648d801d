"""What an extraction did, as an object, for scripts and for people."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Outcome:
    """What an extraction did.

    Attributes:
        rows: Rows committed.
        commits: Snapshots made.
        dead: Documents that went to the dead letters.
        run: Number of the newest commit with rows.
        snapshot_id: Head of the table afterwards; None while it is empty.
        watermarks: How far each buffer is in the table.
        ahead: Buffers of which the table has more than MongoDB acknowledges.
    """

    rows: int = 0
    commits: int = 0
    dead: int = 0
    run: int = 0
    snapshot_id: int | None = None
    watermarks: dict[str, int] = field(default_factory=dict)
    ahead: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for `--json`."""
        return asdict(self)


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
            f"; MongoDB is behind the table for {', '.join(result['ahead'])}:"
            " was it restored? --full-backfill makes the table as MongoDB is"
        )
    return text
