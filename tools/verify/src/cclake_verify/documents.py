"""Documents of one file, as MongoDB holds them, and the bytes that they stand for."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from gridfs import GridFSBucket
from gridfs.errors import GridFSError
from pymongo.database import Database
from pymongo.errors import PyMongoError

Document = dict[str, Any]
FIELDS = {"entry": 1, "raw": 1, "raw_file": 1, "source": 1, "kind": 1}
RAW = CodecOptions(document_class=RawBSONDocument)


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
        return self.id[16:]


def content_hash(data: bytes) -> bytes:
    """The hash of a line that is part of its `_id`."""
    return blake2b(data, digest_size=8).digest()


def key_range(key: str, start: int = 0) -> dict[str, bytes]:
    """The condition on `_id` for a file from an offset on.

    Both ends have the 24 bytes of an `_id`: MongoDB orders binaries by length first.
    """
    prefix = bytes.fromhex(key)
    low = prefix + start.to_bytes(8, "big") + bytes(8)
    return {"$gte": low, "$lte": prefix + b"\xff" * 16}


def pieces(db: Database[Document], key: str, gen: int, start: int) -> Iterator[Piece]:
    """The documents of a file from `gen` on, in the order of the file.

    Documents of generations above that of the file come too: they show that it is
    being rewritten at this moment.
    """
    wanted = {"_id": key_range(key, start), "source.last_gen": {"$gte": gen}}
    with db.conversations.find(wanted, FIELDS).sort("_id", 1) as cursor:
        for document in cursor:
            yield _piece(db, document)


def stored_bytes(db: Database[Document], document: Document) -> bytes:
    """The bytes of a line without its newline.

    Raises:
        ValueError: The document holds neither an entry nor bytes.
    """
    if "raw" in document:
        return bytes(document["raw"])
    if "raw_file" in document:
        with GridFSBucket(db, "raw").open_download_stream(document["raw_file"]) as file:
            return bytes(file.read())
    if "entry" not in document:
        raise ValueError("neither entry nor raw")
    try:
        return orjson.dumps(document["entry"])
    except TypeError:
        return orjson.dumps(_plain_entry(db, document["_id"]))


def _piece(db: Database[Document], document: Document) -> Piece:
    identity, source = bytes(document["_id"]), document["source"]
    try:
        intact = content_hash(stored_bytes(db, document)) == identity[16:]
    except GridFSError:
        intact = False
    except PyMongoError:
        raise  # MongoDB has gone away: that says nothing about the line
    except Exception:  # whatever is wrong with it, it does not prove its line
        intact = False
    return Piece(
        id=identity,
        off=int.from_bytes(identity[8:16], "big"),
        len=int(source["len"]),
        gen=int(source["last_gen"]),
        is_line=document.get("kind", "line") == "line",
        intact=intact,
    )


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
