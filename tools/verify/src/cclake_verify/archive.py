"""Prove all files: those that MongoDB knows, and those that it should know."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from cclake_archive.checkpoints import FILES, HISTORY, Checkpoint, read_checkpoints
from cclake_archive.client import Document
from pymongo.database import Database

from cclake_verify.disk import find_logs, stat_file
from cclake_verify.finding import BROKEN, MISSING, Finding
from cclake_verify.proof import FileProof, unchanged_since_proof
from cclake_verify.proof_cache import ProofCache, Proven

TRIES = 3


class Archive:
    """The files of one MongoDB database, seen from one machine.

    Args:
        db: The database.
        host: The name of this machine: its files are compared with the disk.
        roots: Its folders with logs.
        cache: Earlier proofs.
    """

    def __init__(
        self,
        db: Database[Document],
        host: str,
        roots: Iterable[Path],
        cache: ProofCache,
    ) -> None:
        self.db, self.host, self.cache = db, host, cache
        listing = find_logs(roots)
        self._logs, self.left_out = listing.logs, dict(listing.left_out)
        # A path with escaped bytes does not reveal the name of its log.
        self._odd = {
            (log.root, log.path): log.place
            for log in self._logs
            if not log.place.as_posix().endswith(log.path) and log.path != HISTORY
        }

    def checkpoints(self, host: str | None) -> list[Checkpoint]:
        """Return the checkpoints of one host, or of all, ordered by path."""
        return list(read_checkpoints(self.db, host))

    def prove(
        self,
        points: Iterable[Checkpoint],
        full: bool,
        step: Callable[[Finding], None] = lambda _finding: None,
    ) -> list[Finding]:
        """Prove each file.

        Args:
            points: The checkpoints of the files.
            full: Whether to read again what was proven before.
            step: Called with each finding.
        """
        known = self.cache.files()
        findings = []
        for point in points:
            findings.append(self._prove(point, known.get(point.key), full))
            step(findings[-1])
        self.cache.save()
        return findings

    def missing(self, points: Iterable[Checkpoint]) -> list[Finding]:
        """Return findings on files of this machine that are not archived at all."""
        resolved = cache(lambda root: Path(root).resolve())
        here = [point for point in points if point.host == self.host]
        paths = {(resolved(point.root), point.path) for point in here}
        looks = (stat_file(self._place(point)) for point in here)
        # A second name of an archived file is not another file.
        inodes = {look.inode for look in looks if look}
        return [
            Finding(
                host=self.host,
                path=log.path,
                status=MISSING,
                waiting=log.state.size,
                touched_at=log.state.touched_at,
            )
            for log in self._logs
            if log.state.size
            and (resolved(log.root), log.path) not in paths
            and log.state.inode not in inodes
        ]

    def _place(self, point: Checkpoint) -> Path:
        """Return where a file of this machine is, or was."""
        return self._odd.get((Path(point.root), point.path), point.on_disk)

    def _prove(self, point: Checkpoint, known: Proven | None, full: bool) -> Finding:
        here = point.host == self.host and point.state == "live"
        place = self._place(point) if here else None
        if not full:
            unchanged = unchanged_since_proof(point, known, place)
            if unchanged:
                return unchanged
        for _ in range(TRIES):
            finding, proven = self._walk(point, known, full, place)
            if proven:
                self.cache.store_proof(point.key, proven)
            now = self.db[FILES].find_one({"_id": point.key})
            if finding.status != BROKEN or not now or Checkpoint.of(now) == point:
                break
            point = Checkpoint.of(now)  # the checkpoint moved during the proof
        return finding

    def _walk(
        self, point: Checkpoint, known: Proven | None, full: bool, place: Path | None
    ) -> tuple[Finding, Proven | None]:
        try:
            return FileProof(point, known, full, place).run(self.db)
        except OSError as error:
            finding = Finding(
                host=point.host, path=point.path, file=point.key, status=BROKEN
            )
            finding.faults.append(f"cannot read the file: {error.strerror}")
            return finding, None
