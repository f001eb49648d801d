"""The bytes of an archived file, line by line, each checked against its hash."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from typing import Any

import orjson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from cclake_common.failure import Failure
from gridfs import GridFSBucket
from gridfs.errors import GridFSError
from pymongo.database import Database

from cclake_restore.chosen import Document

FIELDS = {"entry": 1, "raw": 1, "raw_file": 1, "source": 1, "kind": 1}
RAW = CodecOptions(document_class=RawBSONDocument)


class Content:
    """One generation of one file.

    Args:
        db: The archive.
        key: File key, hex.
        gen: The generation.
        need: Bytes that are known to be archived; what follows them is welcome, but
            may be on its way still. None for all that belongs to the generation.
    """

    def __init__(
        self, db: Database[Document], key: str, gen: int, need: int | None
    ) -> None:
        self.db, self.key, self.gen, self.need = db, key, gen, need

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the file, piece by piece, from the first on.

        Raises:
            Failure: Bytes are missing, or are not those that were archived.
        """
        for off, document in self._tiles(FIELDS):
            data = stored_bytes(self.db, document)
            if blake2b(data, digest_size=8).digest() != bytes(document["_id"])[16:]:
                raise Failure(f"the document at byte {off} is not what its _id says")
            length = int(document["source"]["len"])
            if length == len(data) + 1:
                data += b"\n"
            if length != len(data):
                raise Failure(f"the document at byte {off} has another length")
            yield data

    def size(self) -> int:
        """Its bytes, without reading what the documents hold.

        Raises:
            Failure: Bytes are missing.
        """
        size = 0
        for off, document in self._tiles({"source": 1}):
            size = off + int(document["source"]["len"])
        return size

    def _tiles(self, fields: Document) -> Iterator[tuple[int, Document]]:
        reached = 0
        for document in self._chain(fields):
            off = _offset(document)
            if off < reached:
                continue  # of a generation before or after that had it elsewhere
            if off > reached:
                break
            yield off, document
            reached = _end(document)
        else:
            if reached >= (self.need or 0):
                return
        if self.need is None or reached < self.need:
            raise Failure(f"the archive has a hole at byte {reached}")

    def _chain(self, fields: Document) -> Iterator[Document]:
        """The documents of this generation; one per offset."""
        prefix = bytes.fromhex(self.key)
        # MongoDB orders binaries by length first: both ends are as long as an _id.
        wanted = {
            "_id": {"$gte": prefix + bytes(16), "$lte": prefix + b"\xff" * 16},
            "source.gen": {"$lte": self.gen},
            "source.last_gen": {"$gte": self.gen},
        }
        with self.db.conversations.find(wanted, fields).sort("_id", 1) as cursor:
            yield from _linked(cursor)


def stored_bytes(db: Database[Document], document: Document) -> bytes:
    """The bytes of a line without its newline.

    Raises:
        Failure: The document holds none, or they are not whole.
    """
    if "raw" in document:
        return bytes(document["raw"])
    if "raw_file" in document:
        bucket = GridFSBucket(db, "raw")
        try:
            with bucket.open_download_stream(document["raw_file"]) as file:
                return bytes(file.read())
        except GridFSError as error:
            raise Failure(f"bytes are missing in GridFS: {error}") from error
    if "entry" not in document:
        raise Failure("a document holds neither entry nor raw")
    try:
        return orjson.dumps(document["entry"])
    except TypeError:
        return orjson.dumps(_plain_entry(db, document["_id"]))


def _linked(documents: Iterable[Document]) -> Iterator[Document]:
    """Of several documents at one offset, the one that reaches the next, or longest."""
    waiting: list[Document] = []
    for off, group in groupby(documents, _offset):
        if waiting:
            yield max(waiting, key=lambda one: (_end(one) == off, _end(one)))
        waiting = list(group)
    if waiting:
        yield max(waiting, key=_end)


def _offset(document: Document) -> int:
    return int.from_bytes(bytes(document["_id"])[8:16], "big")


def _end(document: Document) -> int:
    return _offset(document) + int(document["source"]["len"])


def _plain_entry(db: Database[Document], identity: bytes) -> Any:
    """The entry without the driver's types: it turns `$ref` and `$id` into a DBRef."""
    raw = db.conversations.with_options(RAW).find_one({"_id": identity}, {"entry": 1})
    return _plain(raw["entry"]) if raw else None


def _plain(value: Any) -> Any:
    if isinstance(value, RawBSONDocument):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value
