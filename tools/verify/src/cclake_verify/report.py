"""Report what verify found, as a table or as JSON."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from cclake_common.visible import visible

from cclake_verify.buffer import Pending
from cclake_verify.finding import (
    BEHIND,
    BROKEN,
    CHANGED,
    KEPT,
    MISSING,
    PROVEN,
    Finding,
)
from cclake_verify.stores import ABSENT, DIFFERENT, SAME, StoreFinding

SHOWN = 20
MEANING = {
    PROVEN: "every byte is archived, and equals the disk",
    KEPT: "every byte is archived; the file is not on this disk",
    BEHIND: "proven up to the checkpoint; the disk has newer bytes",
    CHANGED: "rewritten on disk; to be archived again",
    MISSING: "on disk, not archived yet",
    BROKEN: "not proven",
}
EXTENT = {
    False: "new bytes on disk, and the numbers and sums of every store."
    " `verify --full` compares all content.",
    True: "every byte of the logs is archived, and the stores agree in content.",
}


@dataclass(slots=True)
class Report:
    """Everything that one run of verify found."""

    grace: float
    full: bool = False
    files: list[Finding] = field(default_factory=list)
    stores: list[StoreFinding] = field(default_factory=list)
    pending: Pending | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def bad_files(self) -> list[Finding]:
        """Return the files that fail the proof."""
        return [finding for finding in self.files if finding.is_bad(self.grace)]

    @property
    def proof(self) -> str:
        """Return which proof this is: `quick` or `full`."""
        return "full" if self.full else "quick"

    @property
    def holds(self) -> bool:
        """Return whether the proof holds."""
        different = any(store.status == DIFFERENT for store in self.stores)
        return not different and not self.bad_files

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        files = Counter(finding.status for finding in self.files)
        return {
            "holds": self.holds,
            "proof": self.proof,
            "files": {status: files.get(status, 0) for status in MEANING},
            "lines": sum(finding.lines for finding in self.files),
            "bytes": sum(finding.off for finding in self.files),
            "bytes_read": sum(finding.read for finding in self.files),
            "pending": {"queued": self.pending.queued, "dead": self.pending.dead}
            if self.pending
            else None,
            "left_out": self.left_out,
            "stores": [_store(store) for store in self.stores],
            "findings": [_finding(one, self.grace) for one in self.files],
        }

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table, and of the faults below it."""
        yield from _aligned(self._rows())
        if self.pending and (self.pending.queued or self.pending.dead):
            yield ""
            yield (
                f"The buffer holds {self.pending.queued:,} waiting lines and"
                f" {self.pending.dead:,} dead letters."
            )
        if self.left_out:
            yield ""
            yield "Left out, neither archived nor proven: " + ", ".join(
                f"{count:,} {why}" for why, count in sorted(self.left_out.items())
            )
        bad = self.bad_files
        if bad:
            yield ""
        for finding in bad[:SHOWN]:
            yield f"{finding.status}: {finding.host} {finding.path}"
            yield from (f"    {fault}" for fault in finding.faults[:SHOWN])
        if len(bad) > SHOWN:
            yield f"and {len(bad) - SHOWN:,} more files; --json lists all"
        yield ""
        yield self._verdict()

    def _verdict(self) -> str:
        if not self.holds:
            return f"NOT PROVEN by the {self.proof} proof."
        waits = (BEHIND, CHANGED, MISSING)
        coming = sum(one.status in waits and not one.torn for one in self.files)
        but = f", except for {coming:,} files that are still to come" if coming else ""
        return f"The {self.proof} proof holds{but}: {EXTENT[self.full]}"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        yield "what", "count", "lines", "bytes", "verdict"
        for status, meaning in MEANING.items():
            of_status = [one for one in self.files if one.status == status]
            if of_status or status == PROVEN:
                size = relevant_bytes(of_status, status)
                yield (
                    f"files {status}",
                    f"{len(of_status):,}",
                    f"{sum(one.lines for one in of_status):,}",
                    f"{size:,}",
                    meaning + _late(of_status, self.grace),
                )
        for store in self.stores:
            entries = "" if store.status == ABSENT else f"{store.held.entries:,}"
            yield store.store, "", entries, "", _verdict(store)


def relevant_bytes(findings: Iterable[Finding], status: str) -> int:
    """Return the bytes to show for a status: archived ones, or those on disk."""
    if status == MISSING:
        return sum(finding.waiting for finding in findings)
    return sum(finding.off for finding in findings)


def _late(findings: list[Finding], grace: float) -> str:
    late = sum(finding.is_late(grace) for finding in findings)
    return f" ({late:,} for over {grace:g} s: FAILED)" if late else ""


def _verdict(store: StoreFinding) -> str:
    if store.status == DIFFERENT:
        note = visible(store.note)
        if store.held.same_entries(store.expected):
            return f"FAILED: {note}"
        return (
            f"FAILED: {store.expected.entries:,} lines and {store.expected.parts:,}"
            f" salvaged expected, {store.held.entries:,} and {store.held.parts:,} held;"
            f" {note}"
        )
    if store.status == ABSENT:
        return "nothing there yet"
    words = "the same" if store.status == SAME else "older"
    return ", ".join(part for part in (words, visible(store.note)) if part)


def _aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for what, *numbers, verdict in table:
        cells = (f"{n:>{w}}" for n, w in zip(numbers, widths[1:-1], strict=True))
        yield "  ".join((f"{what:<{widths[0]}}", *cells, verdict)).rstrip()


def _store(store: StoreFinding) -> dict[str, Any]:
    row = asdict(store)
    for side in ("held", "expected"):
        row[side]["digest"] = f"{row[side]['digest']:016x}"
    return row


def _finding(finding: Finding, grace: float) -> dict[str, Any]:
    return asdict(finding) | {"late": finding.is_late(grace)}
