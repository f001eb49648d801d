"""From ranges of MongoDB to data files of the table."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import bson
import gridfs
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.datafile import DataFileWriter
from cclake_extract.dead import DeadLetters
from cclake_extract.entry import Bytes, Document
from cclake_extract.rows import Columns, batch_of, columns_of

FILE_ROWS = 50_000
FILE_BYTES = 256 << 20
# Python objects take several times what Arrow takes: they wait only this long.
BATCH_ROWS = 1_000
BATCH_BYTES = 8 << 20

BROKEN = (BSONError, gridfs.NoFile, ValueError, KeyError, TypeError)


@dataclass
class Piece:
    """A data file that is ready to be committed, and how far it goes."""

    file: DataFile | None
    rows: int
    run: int
    watermarks: dict[str, int]


class Reader:
    """Reads ranges of documents into data files of about 50,000 rows.

    Args:
        database: Where `conversations` is.
        dead: Takes the documents that can't be converted.
        advance: Called with the number of documents read.
    """

    def __init__(
        self,
        database: Database[Document],
        dead: DeadLetters,
        advance: Callable[[int], None] = lambda _: None,
        extra: Document | None = None,
    ) -> None:
        self._database = database
        self._dead = dead
        self._advance = advance
        self._extra = extra or {}
        self._lines = Bytes(database)

    def pieces(
        self,
        table: Table,
        ranges: list[tuple[str, int, int]],
        taken: dict[str, int],
        runs: Iterator[int],
    ) -> Iterator[Piece]:
        """Write the documents of the ranges, one file at a time.

        Args:
            table: Where the files are written.
            ranges: (buffer, after, up to), as of `mongo.behind`.
            taken: The watermarks before; not changed.
            runs: Rising numbers; the rows of each file carry the next one.
        """
        marks = dict(taken)
        out = _File(table, runs)
        with out.guard(), no_collection():
            for buffer, after, up_to in ranges:
                condition = mongo.query(buffer, after, up_to) | self._extra
                for raw in mongo.slices(self._database, condition):
                    marks[buffer] = self._add(
                        out, raw, buffer, marks.get(buffer, after)
                    )
                    if out.full:
                        yield out.finish(marks)
                marks[buffer] = up_to
            yield out.finish(marks)

    def _add(self, out: "_File", raw: bytes, buffer: str, seq: int) -> int:
        if b"\x07raw_file\x00" in raw:  # big ones: not a hundred of them at once
            return self._one_by_one(out, raw, buffer, seq)
        try:
            documents = bson.decode_all(raw, mongo.OPTIONS)
            columns = columns_of(documents, out.run, self._lines)
        except BROKEN:
            return self._one_by_one(out, raw, buffer, seq)
        out.add(columns, len(raw))
        self._advance(len(documents))
        return int(documents[-1]["seq"])

    def _one_by_one(self, out: "_File", raw: bytes, buffer: str, seq: int) -> int:
        for one in mongo.cut(raw, 1):
            seq = seq_of(one, seq)
            try:
                columns = columns_of(
                    [bson.decode(one, mongo.OPTIONS)], out.run, self._lines
                )
                out.add(columns, max(len(one), columns["len"][0] or 0))
            except BROKEN as error:
                self._dead.add(one, buffer, f"{type(error).__name__}: {error}")
            self._advance(1)
        return seq


def seq_of(raw: bytes, otherwise: int) -> int:
    """The number of a document, also of one whose texts can't be decoded."""
    try:
        return int(RawBSONDocument(raw, mongo.LENIENT)["seq"])
    except (BSONError, KeyError, ValueError, TypeError):
        return otherwise


class _File:
    """The file being written, the rows that wait for it, and its number."""

    def __init__(self, table: Table, runs: Iterator[int]) -> None:
        self._table = table
        self._runs = runs
        self._writer: DataFileWriter | None = None
        self._waiting: Columns = {}
        self._bytes = self._batch_bytes = 0
        self.run = next(runs)

    @property
    def full(self) -> bool:
        waiting = len(self._waiting.get("doc_id", ()))
        rows = waiting + (self._writer.rows if self._writer else 0)
        return rows >= FILE_ROWS or self._bytes >= FILE_BYTES

    def add(self, columns: Columns, size: int) -> None:
        for name, values in columns.items():
            self._waiting.setdefault(name, []).extend(values)
        self._bytes += size
        self._batch_bytes += size
        if (
            len(self._waiting["doc_id"]) >= BATCH_ROWS
            or self._batch_bytes >= BATCH_BYTES
        ):
            self._flush()

    def finish(self, marks: dict[str, int]) -> Piece:
        self._flush()
        writer, self._writer = self._writer, None
        piece = Piece(
            file=writer.close() if writer else None,
            rows=writer.rows if writer else 0,
            run=self.run,
            watermarks=dict(marks),
        )
        self._bytes = 0
        self.run = next(self._runs)
        return piece

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Remove a half-written file when the reading ends early."""
        try:
            yield
        finally:
            if self._writer is not None:
                self._writer.discard()

    def _flush(self) -> None:
        if self._waiting:
            if self._writer is None:
                self._writer = DataFileWriter(self._table)
            self._writer.write(batch_of(self._waiting, self._writer.schema))
        self._waiting, self._batch_bytes = {}, 0


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection inside: millions of live objects and no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
