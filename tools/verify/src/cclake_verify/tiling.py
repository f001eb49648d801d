"""Do the documents of a file cover it, each byte once?"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from cclake_verify.documents import Piece


class Tiling:
    """Walks over the pieces of a file and notes every gap, overlap and false byte.

    A line that was delivered without its newline and grew later has several documents
    at one offset; the one that reaches the next document (or else the longest) counts.

    Attributes:
        reached: Offset up to which the walk has come.
        faults: What was wrong, in the order of the file.
        rewritten: Whether documents of a newer generation were met.
    """

    def __init__(self, gen: int, start: int, end: int) -> None:
        self.gen, self.end = gen, end
        self.reached = start
        self.faults: list[str] = []
        self.rewritten = False

    def walk(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Give the pieces that count, from the first to the end of the file."""
        waiting: list[Piece] = []
        for off, group in groupby(self._of_generation(pieces), attrgetter("off")):
            if waiting:
                yield self._take(waiting, off)
            waiting = list(group)
        if waiting:
            yield self._take(waiting, self.end)
        if self.reached < self.end:
            self.faults.append(f"nothing holds bytes {self.reached}-{self.end}")

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
            self.faults.append(f"nothing holds bytes {self.reached}-{piece.off}")
        elif piece.off < self.reached:
            self.faults.append(f"two documents hold bytes {piece.off}-{self.reached}")
        # The newline of a last line may have come after the checkpoint was taken.
        if piece.end > self.end + 1:
            self.faults.append(f"a document reaches over the checkpoint at {self.end}")
        self._check(piece)
        self.reached = max(self.reached, piece.end)
        return piece

    def _check(self, piece: Piece) -> None:
        if not piece.intact:
            self.faults.append(f"the document at {piece.off} is not what its _id says")
