"""Where the documents come from, and how they are read."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from cclake_archive.client import Document
from pyiceberg.table import Table
from pymongo.database import Database

from cclake_extract.child import Start
from cclake_extract.crew import ALONE, Crew, pieces
from cclake_extract.datafile import destination, new_path
from cclake_extract.mongo import Range
from cclake_extract.reader import Piece, Reader
from cclake_extract.shares import FILE_ROWS, Share, at_least, divided

Advance = Callable[[int], None]
ABOVE = 2 * FILE_ROWS
"""Documents from which on a further process is worth its start."""


@dataclass(frozen=True)
class Source:
    """The documents of a database.

    Attributes:
        database: Where `conversations` is.
        crew: Who may read.
        advance: Called with the number of documents read.
        extra: A condition that documents have to meet, too.
    """

    database: Database[Document]
    crew: Crew = ALONE
    advance: Advance = lambda _: None
    extra: Document | None = None

    def read(
        self, table: Table, ranges: list[Range], runs: Iterator[int]
    ) -> Generator[tuple[Share, Piece]]:
        """Write the documents of ranges to files beside the table.

        Args:
            table: The table.
            ranges: What to read.
            runs: Rising numbers; the rows of each share carry the next one.
        """
        place = destination(table)
        shares = (
            Share(group, next(runs), new_path(table))
            for group in divided(self.database, ranges)
        )
        reader = Reader(self.database, place, self.advance, self.extra)
        starts: list[Start] = []
        if self.crew.processes > 1 and at_least(self.database, ranges, ABOVE):
            start = Start(self.crew.uri, self.database.name, place, self.extra)
            starts = [start] * (self.crew.processes - 1)
        return pieces(shares, reader, starts)
