"""Read splits of the documents into data files."""

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import bson
from bson.errors import BSONError
from cclake_archive.client import Document
from pyiceberg.table import Table
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.data_files import destination, new_path
from cclake_extract.dead_letters import DeadLetters
from cclake_extract.parquet import Destination, ParquetFile, Written
from cclake_extract.partitions import Key, Partitions
from cclake_extract.rows import Columns, batch_of, columns_of
from cclake_extract.splits import Split, split_ranges

FILE_BYTES = 256 << 20
# Python objects take several times the memory of Arrow, so they are converted early.
BATCH_ROWS = 500
BATCH_BYTES = 8 << 20

Advance = Callable[[int], None]
BROKEN = (BSONError, ValueError, KeyError, TypeError)


@dataclass
class Piece:
    """The files of a split, to be committed.

    Attributes:
        files: Its data files; none if it has no rows.
        begun: Addresses of its files, from before they are created.
        dead: Documents that became dead letters.
        taken: Set by who commits the files; until then an error deletes them.
    """

    files: list[Written] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    dead: int = 0
    taken: bool = False

    @property
    def rows(self) -> int:
        """Rows of all its files."""
        return sum(file.rows for file in self.files)


class Reader:
    """Reads splits of the documents into data files.

    Args:
        database: Where `conversations` is.
        destination: Where the files go.
        partitions: Divides their rows.
        advance: Called with the number of documents read.
        extra: Another condition that documents must meet.
    """

    def __init__(
        self,
        database: Database[Document],
        destination: Destination,
        partitions: Partitions,
        advance: Advance = lambda _: None,
        extra: Document | None = None,
    ) -> None:
        self._database = database
        self._destination = destination
        self._partitions = partitions
        self._advance = advance
        self._extra = extra or {}

    def read(self, split: Split, piece: Piece) -> None:
        """Write the documents of a split to the files of a piece.

        Raises:
            PyMongoError: MongoDB fails.
            OSError: A file can't be written.
        """
        dead = DeadLetters(self._database)
        out = _Files(self._destination, self._partitions, split, piece)
        with out.guard(), no_garbage_collection():
            for buffer, after, up_to in split.ranges:
                condition = mongo.query(buffer, after, up_to) | self._extra
                for raw in mongo.read(self._database, condition):
                    self._add(out, raw, buffer, dead)
            out.finish()
            dead.write()
        piece.dead = dead.count

    def _add(self, out: "_Files", raw: bytes, buffer: str, dead: DeadLetters) -> None:
        if b"\x07raw_file\x00" in raw:  # large: decode one at a time
            return self._one_by_one(out, raw, buffer, dead)
        try:
            documents = bson.decode_all(raw, mongo.OPTIONS)
            columns = columns_of(documents, out.run, self._database)
        except BROKEN:
            return self._one_by_one(out, raw, buffer, dead)
        out.add(columns, len(raw))
        return self._advance(len(documents))

    def _one_by_one(
        self, out: "_Files", raw: bytes, buffer: str, dead: DeadLetters
    ) -> None:
        for one in mongo.split_batch(raw, 1):
            try:
                columns = columns_of(
                    [bson.decode(one, mongo.OPTIONS)], out.run, self._database
                )
                out.add(columns, max(len(one), columns["len"][0] or 0))
            except BROKEN as error:
                dead.add(one, buffer, f"{type(error).__name__}: {error}")
            self._advance(1)


@dataclass(frozen=True)
class Source:
    """The documents of a database.

    Attributes:
        database: Where `conversations` is.
        advance: Called with the number of documents read.
        extra: Another condition that documents must meet.
    """

    database: Database[Document]
    advance: Advance = lambda _: None
    extra: Document | None = None

    def read(
        self, table: Table, ranges: list[mongo.Range], runs: Iterator[int]
    ) -> Generator[tuple[Split, Piece]]:
        """Write the documents of ranges to files beside the table, split by split.

        An error, also one of the caller, deletes the files that it has not taken.

        Args:
            table: The table.
            ranges: What to read.
            runs: Rising run numbers; the rows of each split get the next one.
        """
        place = destination(table)
        partitions = Partitions(table)
        reader = Reader(self.database, place, partitions, self.advance, self.extra)
        for group in split_ranges(self.database, ranges):
            split, piece = Split(group, next(runs), new_path(table)), Piece()
            try:
                reader.read(split, piece)
                yield split, piece
            finally:
                if not piece.taken:
                    for path in piece.begun:
                        place.delete(path)


class _Files:
    """The open files of a split, one a partition, and the rows for the next batch."""

    def __init__(
        self,
        destination: Destination,
        partitions: Partitions,
        split: Split,
        piece: Piece,
    ) -> None:
        self._destination = destination
        self._partitions = partitions
        self._split = split
        self._piece = piece
        self._open: dict[Key, ParquetFile] = {}
        self._waiting: Columns = {}
        self._bytes = self._batch_bytes = 0
        self.run = split.run

    def add(self, columns: Columns, size: int) -> None:
        """Take the rows and clear `columns`, so that a long line is in memory once."""
        for name, values in columns.items():
            self._waiting.setdefault(name, []).extend(values)
        columns.clear()
        self._bytes += size
        self._batch_bytes += size
        if (
            len(self._waiting["doc_id"]) >= BATCH_ROWS
            or self._batch_bytes >= BATCH_BYTES
        ):
            self._flush()
        if self._bytes >= FILE_BYTES:
            self._close()

    def finish(self) -> None:
        self._close()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Close the unfinished files after an error."""
        try:
            yield
        except BaseException:
            for file in self._open.values():
                file.discard()
            raise

    def _close(self) -> None:
        self._flush()
        while self._open:
            key = next(iter(self._open))
            self._piece.files.append(self._open[key].close())
            del self._open[key]
        self._bytes = 0

    def _flush(self) -> None:
        if self._waiting:
            batch = batch_of(self._waiting, self._destination.schema)
            self._waiting, self._batch_bytes = {}, 0
            for key, rows in self._partitions.divide(batch):
                self._file(key).write(rows)

    def _file(self, key: Key) -> ParquetFile:
        if key not in self._open:
            path = self._split.file(len(self._piece.begun))
            self._piece.begun.append(path)
            self._open[key] = ParquetFile(self._destination, path, key)
        return self._open[key]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable garbage collection: the objects are many and have no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
