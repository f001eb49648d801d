"""Read the bytes of a document's line."""

from typing import Any

import orjson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from gridfs import GridFSBucket
from gridfs.errors import GridFSError
from pymongo.database import Database

from cclake_archive.client import Document

CONVERSATIONS = "conversations"
BUCKET = "raw"
FIELDS = {"entry": 1, "raw": 1, "raw_file": 1, "source": 1, "kind": 1}
"""The fields of a document that its line is made of, and where it belongs."""
_RAW = CodecOptions(document_class=RawBSONDocument)


class BrokenLine(ValueError):
    """A document does not hold its line, or not all of it."""


def line_bytes(database: Database[Document], document: Document) -> bytes:
    """Return the bytes of a line without its newline.

    Raises:
        BrokenLine: The document does not hold them.
    """
    stored = stored_bytes(database, document)
    if stored is not None:
        return stored
    if "entry" not in document:
        raise BrokenLine("the document has neither entry nor raw")
    try:
        return orjson.dumps(document["entry"])
    except TypeError:
        return _serialise(_plain_entry(database, document["_id"]))


def stored_bytes(database: Database[Document], document: Document) -> bytes | None:
    """Return the bytes that a document stores; None if its entry stands for them.

    Raises:
        BrokenLine: They are missing in GridFS, or incomplete.
    """
    raw = document.get("raw")
    if isinstance(raw, bytes):
        return raw
    if "raw_file" not in document:
        return None
    try:
        with GridFSBucket(database, BUCKET).open_download_stream(
            document["raw_file"]
        ) as file:
            return bytes(file.read())
    except GridFSError as error:
        raise BrokenLine(f"bytes are missing in GridFS: {error}") from error


def _plain_entry(database: Database[Document], identity: bytes) -> Any:
    """Return an entry without the driver's types: `$ref` and `$id` make a DBRef."""
    lines = database[CONVERSATIONS].with_options(_RAW)
    found = lines.find_one({"_id": identity}, {"entry": 1})
    return _plain(found["entry"]) if found else None


def _plain(value: Any) -> Any:
    if isinstance(value, RawBSONDocument):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


def _serialise(entry: Any) -> bytes:
    try:
        return orjson.dumps(entry)
    except TypeError as error:
        raise BrokenLine(f"the entry is not JSON: {error}") from error
