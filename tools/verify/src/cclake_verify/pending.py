"""What still waits in the buffer of this machine; the proof itself does not need it."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Pending:
    """Lines that MongoDB does not have yet.

    Attributes:
        queued: Lines that wait to be delivered.
        dead: Lines that could not be delivered; their bytes are kept.
        dead_spans: Where the dead lines are: by file key, offset and length.
    """

    queued: int = 0
    dead: int = 0
    dead_spans: dict[str, list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def dead_between(self, file: str, low: int, high: int) -> int:
        """Dead lines of a file that touch a range of bytes."""
        spans = self.dead_spans.get(file, [])
        return sum(off < high and off + length > low for off, length in spans)


def read_pending(path: Path) -> Pending | None:
    """Look into a buffer without disturbing it; None where there is none."""
    if not path.exists():
        return None
    found = Pending()
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as db:
            found.queued = db.execute("select count(*) from queue").fetchone()[0]
            spans = db.execute("select file, off, len from dead_letters").fetchall()
    except sqlite3.Error:
        return None
    for file, off, length in spans:
        found.dead += 1
        found.dead_spans[file].append((off, length))
    return found
