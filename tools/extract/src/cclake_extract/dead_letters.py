"""Keep documents that can't become rows, with the reason."""

from datetime import UTC, datetime

from bson import Binary
from cclake_archive.client import Document
from pymongo import ReplaceOne
from pymongo.database import Database

COLLECTION = "extract_dead_letters"


class DeadLetters:
    """Collects failures of one run and writes them to MongoDB.

    A letter has the `_id` of its document, or the bytes in its place. A document
    that fails again has one letter.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database[COLLECTION]
        self._letters: list[Document] = []
        self.count = 0

    def add(self, raw: bytes, buffer: str, reason: str) -> None:
        """Add one document, given as BSON that may be invalid."""
        self.count += 1
        self._letters.append(
            {
                "_id": document_id(raw),
                "buffer": buffer,
                "reason": reason[:500],
                "at": datetime.now(UTC),
            }
        )

    def write(self) -> None:
        """Store the letters; call it before the watermark moves past them."""
        if self._letters:
            self._collection.bulk_write(
                [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in self._letters]
            )
            self._letters = []


def list_letters(database: Database[Document]) -> list[Document]:
    """Return all dead letters, newest first."""
    found = database[COLLECTION].find().sort("at", -1)
    return [
        {
            "doc_id": bytes(letter["_id"]).hex(),
            "buffer": letter["buffer"],
            "reason": letter["reason"],
            "at": letter["at"].isoformat(timespec="seconds") + "Z",
        }
        for letter in found
    ]


def document_id(raw: bytes) -> Binary:
    """Return the binary `_id` at the start of a BSON document, without decoding it."""
    if raw[4:9] == b"\x05_id\x00":
        size = int.from_bytes(raw[9:13], "little")
        return Binary(raw[14 : 14 + size], raw[13])
    return Binary(raw[4:32])
