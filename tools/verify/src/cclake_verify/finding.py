"""The findings of verify on files."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

PROVEN, KEPT, BEHIND, CHANGED, MISSING, BROKEN = (
    "proven", "kept", "behind", "changed", "missing", "broken",
)  # fmt: skip


@dataclass(slots=True)
class Finding:
    """The result for one file.

    Attributes:
        status: `proven` (archive and disk agree), `kept` (only the archive has it),
            `behind` (proven, and the disk has more), `changed` (rewritten after it was
            archived), `missing` (not archived yet) or `broken`.
        read: Number of bytes that this run has proven.
        known: Number of bytes that were proven before.
        waiting: Number of bytes on disk that are not archived yet.
        torn: Whether those bytes are an incomplete line, which is not awaited.
        touched_at: Epoch seconds of the file's last change, if it is on disk.
        faults: Sentences on what is wrong.
    """

    host: str
    path: str
    file: str = ""
    status: str = PROVEN
    gen: int = 0
    off: int = 0
    lines: int = 0
    read: int = 0
    known: int = 0
    waiting: int = 0
    torn: bool = False
    touched_at: float | None = None
    faults: list[str] = field(default_factory=list)

    def is_late(self, grace: float) -> bool:
        """Return whether the file should have been archived by now."""
        if self.status not in (BEHIND, CHANGED, MISSING) or self.torn:
            return False
        if self.touched_at is None:
            return False
        return time.time() - self.touched_at > grace

    def is_bad(self, grace: float) -> bool:
        """Return whether this finding fails the proof."""
        return self.status == BROKEN or self.is_late(grace)


def bad(findings: Iterable[Finding], grace: float) -> list[Finding]:
    """Return the findings that fail the proof."""
    return [finding for finding in findings if finding.is_bad(grace)]
