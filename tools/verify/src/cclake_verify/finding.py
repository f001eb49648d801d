"""What verify finds about one file."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

PROVEN, KEPT, BEHIND, CHANGED, MISSING, BROKEN = (
    "proven", "kept", "behind", "changed", "missing", "broken",
)  # fmt: skip


@dataclass(slots=True)
class Finding:
    """What verify says of one file.

    Attributes:
        status: `proven` (archive and disk agree), `kept` (the archive alone has it),
            `behind` (proven, and the disk has more), `changed` (rewritten after it was
            archived), `missing` (not archived yet) or `broken`.
        read: Bytes of the file that this run has proven anew.
        known: Bytes that were proven before.
        waiting: Bytes on disk that are not archived yet.
        torn: Those bytes are a line that was never finished: it is not awaited.
        touched_at: Epoch seconds of the file's last change, when it is on disk.
        faults: What is wrong.
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
        """Whether the archive has had enough time to hold this file, and does not."""
        if self.status not in (BEHIND, CHANGED, MISSING) or self.torn:
            return False
        if self.touched_at is None:
            return False
        return time.time() - self.touched_at > grace

    def is_bad(self, grace: float) -> bool:
        """Whether this finding fails the proof."""
        return self.status == BROKEN or self.is_late(grace)


def bad(findings: Iterable[Finding], grace: float) -> list[Finding]:
    """The findings that fail the proof."""
    return [finding for finding in findings if finding.is_bad(grace)]
