"""Where the documents come from, and how they are read."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from cclake_archive.client import Document
from pyiceberg.table import Table
from pymongo.database import Database

from cclake_extract.datafile import destination, new_path
from cclake_extract.mongo import Range
from cclake_extract.reader import Piece, Reader
from cclake_extract.shares import Share, divided

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Source:
    """The documents of a database.

    Attributes:
        database: Where `conversations` is.
        advance: Called with the number of documents read.
        extra: A condition that documents have to meet, too.
    """

    database: Database[Document]
    advance: Advance = lambda _: None
    extra: Document | None = None

    def read(
        self, table: Table, ranges: list[Range], runs: Iterator[int]
    ) -> Generator[tuple[Share, Piece]]:
        """Write the documents of ranges to files beside the table, share by share.

        The files of a share that was taken are the caller's.

        Args:
            table: The table.
            ranges: What to read.
            runs: Rising numbers; the rows of each share carry the next one.
        """
        reader = Reader(self.database, destination(table), self.advance, self.extra)
        for group in divided(self.database, ranges):
            share = Share(group, next(runs), new_path(table))
            yield share, reader.read(share)
