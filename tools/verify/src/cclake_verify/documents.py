"""Read the documents of a file from MongoDB, and the bytes that they store."""

from collections.abc import Iterator
from dataclasses import dataclass

from cclake_archive.client import Document
from cclake_archive.ids import content_hash, hash_of, key_range, offset_of
from cclake_archive.lines import CONVERSATIONS, FIELDS, line_bytes
from pymongo.database import Database
from pymongo.errors import PyMongoError


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of bytes of a file, as one document claims to store it.

    Attributes:
        id: The `_id`: file key, offset and hash.
        off: Offset of the first byte.
        len: Number of bytes in the file.
        gen: Newest generation of the file that contains it.
        is_line: Whether a newline may end it.
        intact: Whether the stored bytes match the hash in `_id`.
    """

    id: bytes
    off: int
    len: int
    gen: int
    is_line: bool
    intact: bool

    @property
    def end(self) -> int:
        """Return the offset after the last byte."""
        return self.off + self.len

    @property
    def hash(self) -> bytes:
        """Return the hash in `_id`."""
        return hash_of(self.id)


def pieces(db: Database[Document], key: str, gen: int, start: int) -> Iterator[Piece]:
    """Yield the pieces of a file from generation `gen` on, ordered by offset.

    Pieces of generations above that of the checkpoint are included: they show that the
    file is being rewritten now.
    """
    wanted = {"_id": key_range(key, start), "source.last_gen": {"$gte": gen}}
    with db[CONVERSATIONS].find(wanted, FIELDS).sort("_id", 1) as cursor:
        for document in cursor:
            yield _piece(db, document)


def _piece(db: Database[Document], document: Document) -> Piece:
    identity, source = bytes(document["_id"]), document["source"]
    try:
        intact = content_hash(line_bytes(db, document)) == hash_of(identity)
    except PyMongoError:
        raise  # MongoDB is unavailable, which says nothing about the line
    except Exception:  # a document that can't be decoded does not prove its line
        intact = False
    return Piece(
        id=identity,
        off=offset_of(identity),
        len=int(source["len"]),
        gen=int(source["last_gen"]),
        is_line=document.get("kind", "line") == "line",
        intact=intact,
    )
