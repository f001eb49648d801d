"""Read the bytes of an archived file line by line, and check each against its hash."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from cclake_archive.client import Document
from cclake_archive.ids import content_hash, hash_of, key_range, offset_of
from cclake_archive.lines import CONVERSATIONS, FIELDS, BrokenLine, line_bytes
from cclake_common.failure import Failure
from pymongo.database import Database


class Content:
    """One generation of one file.

    Args:
        db: The archive.
        key: File key, hex.
        gen: The generation.
        need: Number of bytes that must be in the archive; bytes after them may still
            be incomplete. None for an older generation, which must be complete.
    """

    def __init__(
        self, db: Database[Document], key: str, gen: int, need: int | None
    ) -> None:
        self.db, self.key, self.gen, self.need = db, key, gen, need

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the file, piece by piece.

        Raises:
            Failure: Bytes are missing, or do not match their hash.
        """
        for off, document in self._covering(FIELDS):
            try:
                data = line_bytes(self.db, document)
            except BrokenLine as error:
                raise Failure(str(error)) from error
            if content_hash(data) != hash_of(document["_id"]):
                raise Failure(f"the document at byte {off} does not match its _id")
            length = int(document["source"]["len"])
            if length == len(data) + 1:
                data += b"\n"
            if length != len(data):
                raise Failure(f"the document at byte {off} has the wrong length")
            yield data

    def size(self) -> int:
        """Return its number of bytes, without reading them.

        Raises:
            Failure: Bytes are missing.
        """
        size = 0
        for off, document in self._covering({"source": 1}):
            size = off + int(document["source"]["len"])
        return size

    def _covering(self, fields: Document) -> Iterator[tuple[int, Document]]:
        reached = 0
        for document in self._documents(fields):
            off = _offset(document)
            if off < reached:
                continue  # of another generation, which had it at another offset
            if off > reached:
                break
            yield off, document
            reached = _end(document)
        else:
            if reached >= (self.need or 0):
                return
        if self.need is None or reached < self.need:
            raise Failure(f"the archive has a hole at byte {reached}")

    def _documents(self, fields: Document) -> Iterator[Document]:
        """Yield the documents of this generation, one per offset."""
        wanted = {
            "_id": key_range(self.key),
            "source.gen": {"$lte": self.gen},
            "source.last_gen": {"$gte": self.gen},
        }
        with self.db[CONVERSATIONS].find(wanted, fields).sort("_id", 1) as cursor:
            yield from _one_per_offset(cursor)


def _one_per_offset(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield one document per offset: the one that reaches the next, or the longest."""
    waiting: list[Document] = []
    for off, group in groupby(documents, _offset):
        if waiting:
            yield max(waiting, key=lambda one: (_end(one) == off, _end(one)))
        waiting = list(group)
    if waiting:
        yield max(waiting, key=_end)


def _offset(document: Document) -> int:
    return offset_of(document["_id"])


def _end(document: Document) -> int:
    return _offset(document) + int(document["source"]["len"])
