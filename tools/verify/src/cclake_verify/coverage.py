"""Check that the documents of a file cover every byte exactly once."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from cclake_verify.documents import Piece


class Coverage:
    """Walk over the pieces of a file, and record every gap, overlap and wrong byte.

    A line that was delivered without its newline and grew later has several documents
    at one offset. The one that ends where the next document begins counts, or else the
    longest.

    Attributes:
        reached: Offset that the walk has reached.
        faults: Sentences on what is wrong, in the order of the file.
        rewritten: Whether there are documents of a newer generation.
    """

    def __init__(self, gen: int, start: int, end: int) -> None:
        self.gen, self.end = gen, end
        self.reached = start
        self.faults: list[str] = []
        self.rewritten = False

    def walk(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the pieces that count, from the first to the end of the file."""
        waiting: list[Piece] = []
        for off, group in groupby(self._of_generation(pieces), attrgetter("off")):
            if waiting:
                yield self._take(waiting, off)
            waiting = list(group)
        if waiting:
            yield self._take(waiting, self.end)
        if self.reached < self.end:
            self.faults.append(f"no document has bytes {self.reached}-{self.end}")

    def _of_generation(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if piece.gen > self.gen:
                self.rewritten = True
            elif piece.gen < self.gen:
                self._check(piece)
            elif piece.off < self.end:
                yield piece

    def _take(self, candidates: list[Piece], next_off: int) -> Piece:
        piece = max(candidates, key=lambda one: (one.end == next_off, one.len))
        if piece.off > self.reached:
            self.faults.append(f"no document has bytes {self.reached}-{piece.off}")
        elif piece.off < self.reached:
            self.faults.append(f"two documents have bytes {piece.off}-{self.reached}")
        # The newline of a last line may have been written after the checkpoint.
        if piece.end > self.end + 1:
            self.faults.append(f"a document ends after the checkpoint at {self.end}")
        self._check(piece)
        self.reached = max(self.reached, piece.end)
        return piece

    def _check(self, piece: Piece) -> None:
        if not piece.intact:
            self.faults.append(f"the document at {piece.off} does not match its _id")
