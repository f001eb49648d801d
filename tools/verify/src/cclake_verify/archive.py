"""The proof of all files: those that MongoDB knows, and those that it should know."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from pymongo.database import Database

from cclake_verify.disk import logs_below, look_at
from cclake_verify.documents import Document
from cclake_verify.finding import BROKEN, HISTORY, MISSING, Checkpoint, Finding
from cclake_verify.memory import Memory, Proven
from cclake_verify.proof import FileProof, settled

TRIES = 3


class Archive:
    """The files of one MongoDB database, seen from one machine.

    Attributes:
        db: The database.
        host: The name of this machine: its files are compared with the disk.
    """

    def __init__(self, db: Database[Document], host: str, memory: Memory) -> None:
        self.db, self.host, self.memory = db, host, memory

    def checkpoints(self, host: str | None) -> list[Checkpoint]:
        """What is archived, of one host or of all, in the order of the paths."""
        found = self.db.files.find({"host": host} if host else {})
        return [Checkpoint.of(one) for one in found.sort([("host", 1), ("path", 1)])]

    def prove(
        self,
        points: Iterable[Checkpoint],
        full: bool,
        step: Callable[[Finding], None] = lambda _finding: None,
    ) -> list[Finding]:
        """Prove each file; `step` is told of every finding.

        Args:
            points: The checkpoints of the files.
            full: Whether to read again what was proven before.
            step: Called after each file.
        """
        known = self.memory.files()
        findings = []
        for point in points:
            findings.append(self._prove(point, known.get(point.file), full))
            step(findings[-1])
        self.memory.save()
        return findings

    def missing(
        self, points: Iterable[Checkpoint], roots: Iterable[Path]
    ) -> list[Finding]:
        """Files of this machine that MongoDB has nothing of."""
        resolved = cache(lambda root: Path(root).resolve())
        here = [point for point in points if point.host == self.host]
        paths = {(resolved(point.root), point.path) for point in here}
        looks = (look_at(point.on_disk) for point in here)
        # A second name of an archived file is not another file.
        inodes = {look.inode for look in looks if look}
        return [
            Finding(
                host=self.host,
                path=path,
                status=MISSING,
                waiting=size,
                touched_at=touched_at,
            )
            for root in roots
            for path, size, inode, touched_at in _logs(root)
            if size and (resolved(str(root)), path) not in paths and inode not in inodes
        ]

    def _prove(self, point: Checkpoint, known: Proven | None, full: bool) -> Finding:
        here = point.host == self.host and point.state == "live"
        if not full:
            unchanged = settled(point, known, here)
            if unchanged:
                return unchanged
        for _ in range(TRIES):
            finding, proven = self._walk(point, known, full, here)
            if proven:
                self.memory.remember(point.file, proven)
            now = self.db.files.find_one({"_id": point.file})
            if finding.status != BROKEN or not now or Checkpoint.of(now) == point:
                break
            point = Checkpoint.of(now)  # it moved while we read
        return finding

    def _walk(
        self, point: Checkpoint, known: Proven | None, full: bool, here: bool
    ) -> tuple[Finding, Proven | None]:
        try:
            return FileProof(point, known, full).run(self.db, here)
        except OSError as error:
            finding = Finding(
                host=point.host, path=point.path, file=point.file, status=BROKEN
            )
            finding.faults.append(f"the file cannot be read: {error.strerror}")
            return finding, None


def _logs(root: Path) -> Iterator[tuple[str, int, int, float]]:
    for path, look in logs_below(root):
        yield path, look.size, look.inode, look.touched_at
    history = look_at(root.parent / "history.jsonl")
    if history:
        yield HISTORY, history.size, history.inode, history.touched_at
