"""Documents of one file, as MongoDB holds them, and the bytes that they stand for."""

from collections.abc import Iterator
from dataclasses import dataclass

from cclake_archive.client import Document
from cclake_archive.ids import content_hash, hash_of, key_range, offset_of
from cclake_archive.lines import CONVERSATIONS, FIELDS, line_bytes
from pymongo.database import Database
from pymongo.errors import PyMongoError


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file that one document claims to hold.

    Attributes:
        id: The `_id`: file key, offset and hash.
        off: Offset of the first byte.
        len: Bytes that it takes in the file.
        gen: Newest generation of the file that holds it.
        is_line: Whether a newline may end it.
        intact: Whether the stored bytes hash to what `_id` says.
    """

    id: bytes
    off: int
    len: int
    gen: int
    is_line: bool
    intact: bool

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.off + self.len

    @property
    def hash(self) -> bytes:
        """The hash of the bytes that `_id` carries."""
        return hash_of(self.id)


def pieces(db: Database[Document], key: str, gen: int, start: int) -> Iterator[Piece]:
    """The documents of a file from `gen` on, in the order of the file.

    Documents of generations above that of the file come too: they show that it is
    being rewritten at this moment.
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
        raise  # MongoDB has gone away: that says nothing about the line
    except Exception:  # whatever is wrong with it, it does not prove its line
        intact = False
    return Piece(
        id=identity,
        off=offset_of(identity),
        len=int(source["len"]),
        gen=int(source["last_gen"]),
        is_line=document.get("kind", "line") == "line",
        intact=intact,
    )
