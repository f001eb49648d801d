"""Prove one file: its documents cover it, and equal the bytes on disk."""

import contextlib
import errno
import time
from collections.abc import Iterator
from dataclasses import astuple
from hashlib import blake2b
from pathlib import Path

from cclake_archive.checkpoints import Checkpoint
from cclake_archive.client import Document
from pymongo.database import Database

from cclake_verify.coverage import Coverage
from cclake_verify.disk import DiskFile, FileState, has_lines, stat_file
from cclake_verify.documents import Piece, pieces
from cclake_verify.finding import (
    BEHIND,
    BROKEN,
    CHANGED,
    KEPT,
    PROVEN,
    Finding,
)
from cclake_verify.proof_cache import Proven

TICK_S = 0.05
# A link that replaced a log is not the log. All other errors are reported.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class FileProof:
    """One walk over the documents of a file and, if it is here, over the file itself.

    Args:
        point: How far the file is archived.
        known: The earlier proof.
        full: Whether to check the documents of older generations as well.
        place: Path of the file; None if it is not on this machine.
    """

    def __init__(
        self,
        point: Checkpoint,
        known: Proven | None,
        full: bool,
        place: Path | None = None,
    ) -> None:
        usable = known is not None and known.gen == point.gen and known.off <= point.off
        self.point = point
        self.place = place
        self.full = full
        self.before = known if usable else None
        # The file on disk may have changed anywhere: an earlier proof does not count.
        again = full or (place is not None and stat_file(place) is not None)
        self.known = None if again else self.before
        self.start = self.known.resume if self.known else 0
        self.count = self.known.pieces if self.known else 0
        self.digest = self.known.digest if self.known else ""
        self.last: Piece | None = None
        self.faults: list[str] = []
        self.differs: int | None = None

    def run(self, db: Database[Document]) -> tuple[Finding, Proven | None]:
        """Walk over the documents.

        Args:
            db: The database of the archive.

        Returns:
            The finding, and the proof to store; None if the file is not proven.
        """
        coverage = Coverage(self.point.gen, self.start, self.point.off)
        oldest = 0 if self.full else self.point.gen
        found = pieces(db, self.point.key, oldest, self.start)
        with contextlib.ExitStack() as stack:
            disk = stack.enter_context(_open(self.place)) if self.place else None
            for piece in coverage.walk(found):
                self._follow(piece, disk)
            state = disk.state if disk else None
            torn = _is_torn(disk, self.point)
        self.faults += coverage.faults
        finding = self._finding(state, coverage.rewritten)
        finding.torn = torn
        good = finding.status in (PROVEN, KEPT, BEHIND)
        return finding, self._proven(state) if good else None

    def _follow(self, piece: Piece, disk: DiskFile | None) -> None:
        if disk and self.differs is None and not disk.has(piece):
            self.differs = piece.off
        if self.last:
            self.digest = chained(self.digest, self.last.id)
        if self.before and piece.off == self.before.resume:
            self._compare_with(self.before)
        self.last = piece
        self.count += 1

    def _compare_with(self, before: Proven) -> None:
        """Compare the documents with the earlier proof: they never change."""
        if (self.count, self.digest) != (before.pieces, before.digest):
            self.faults.append("the documents are not those that were proven before")

    def _finding(self, state: FileState | None, rewritten: bool) -> Finding:
        flawed = bool(self.faults)
        finding = Finding(
            host=self.point.host,
            path=self.point.path,
            file=self.point.key,
            gen=self.point.gen,
            off=self.point.off,
            lines=self.count,
            read=self.point.off - self.start,
            known=self.start,
            waiting=max(0, state.size - self.point.off) if state else 0,
            touched_at=state.touched_at if state else None,
            faults=self.faults,
        )
        if self.differs is not None:
            self.faults.append(f"the file differs from byte {self.differs} on")
        if flawed:
            finding.status = CHANGED if rewritten else BROKEN
        elif self.differs is not None:
            finding.status = CHANGED
        elif state is None:
            finding.status = KEPT
        elif finding.waiting:
            finding.status = BEHIND
        return finding

    def _proven(self, state: FileState | None) -> Proven:
        resume = self.last.off if self.last else self.start
        # A file may change again within the same tick of the file system's clock.
        at_rest = state is not None and time.time() - state.ctime_ns / 1e9 > TICK_S
        seen = astuple(state) if state and at_rest else ()
        count = self.count - 1 if self.last else self.count
        gen, off = self.point.gen, self.point.off
        return Proven(gen, off, resume, count, self.digest, *seen)


def unchanged_since_proof(
    point: Checkpoint, known: Proven | None, place: Path | None
) -> Finding | None:
    """Return the finding on a file that has not changed since its proof, else None."""
    if known is None or (known.gen, known.off) != (point.gen, point.off):
        return None
    state = stat_file(place) if place else None
    if not known.untouched(state):
        return None
    waiting = max(0, state.size - point.off) if state else 0
    return Finding(
        host=point.host,
        path=point.path,
        file=point.key,
        status=(BEHIND if waiting else PROVEN) if state else KEPT,
        gen=point.gen,
        off=point.off,
        lines=known.pieces + 1 if point.off else 0,
        known=point.off,
        waiting=waiting,
        torn=waiting > 0 and _ends_torn(point, place),
        touched_at=state.touched_at if state else None,
    )


def chained(digest: str, identity: bytes) -> str:
    """Return the digest of a file with one more document."""
    return blake2b(bytes.fromhex(digest) + identity, digest_size=16).hexdigest()


def _ends_torn(point: Checkpoint, place: Path | None) -> bool:
    if place is None:
        return False
    with _open(place) as disk:
        return _is_torn(disk, point)


def _is_torn(disk: DiskFile | None, point: Checkpoint) -> bool:
    if disk is None or disk.state.size <= point.off or not has_lines(point.path):
        return False
    return disk.ends_torn(point.off)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[DiskFile | None]:
    try:
        file = DiskFile(path)
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        yield None
        return
    with file:
        yield file
