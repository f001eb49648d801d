"""What a load did."""

from dataclasses import asdict, dataclass
from typing import Any

# Names of the modes: what a load had to do.
NOTHING, INCREMENTAL, RECONCILE, FULL = "nothing", "incremental", "reconcile", "full"


@dataclass
class Outcome:
    """What a load did.

    Attributes:
        mode: `nothing`, `incremental`, `reconcile` (runs compared one by one) or
            `full`.
        rows: Rows added.
        removed: Rows taken out, because the snapshot does not have them.
        total: Rows in `raw.conversations` now.
        extract_run: Newest run that is loaded.
        snapshot_id: Snapshot that the table stands at.
        load_id: Number of the load that last changed something; 0 before any.
        born: When the first load filled the file, as ISO 8601; null before any.
        removal: Number of the newest load that took rows out; 0 where none did. What
            is built on the rows has to be rebuilt when it has changed.
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
        """Return the outcome for `--json`."""
        return asdict(self)
