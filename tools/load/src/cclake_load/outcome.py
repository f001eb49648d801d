"""Report the outcome of a load."""

from dataclasses import asdict, dataclass
from typing import Any

# What a load had to do.
NOTHING, INCREMENTAL, RECONCILE, FULL = "nothing", "incremental", "reconcile", "full"


@dataclass
class Outcome:
    """The outcome of a load.

    Attributes:
        mode: `nothing`, `incremental`, `reconcile` (runs compared one by one) or
            `full`.
        rows: Rows added.
        removed: Rows deleted, because the snapshot does not have them.
        total: Rows in `raw.conversations` now.
        extract_run: Newest loaded run.
        snapshot_id: The loaded snapshot.
        load_id: Number of the load that last changed something; 0 before any.
        born: Time of the first load into the file, as ISO 8601, or None.
        removal: Number of the newest load that deleted rows, or 0. When it changes,
            what is built on the rows must be rebuilt.
    """

    mode: str
    rows: int
    removed: int
    total: int
    extract_run: int
    snapshot_id: int | None
    load_id: int
    born: str | None
    removal: int

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for `--json`; ids are text, too long for JSON numbers."""
        named = self.snapshot_id
        return asdict(self) | {"snapshot_id": None if named is None else str(named)}
