"""Merge documents of a backup into existing ones; the more advanced state stays."""

from collections.abc import Iterable
from typing import Any

from bson import decode
from bson.raw_bson import RawBSONDocument
from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document
from cclake_archive.lines import CONVERSATIONS
from cclake_archive.watermarks import WATERMARKS
from cclake_common.failure import Failure
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

DUPLICATE_KEY = 11000
SEEN = {"buffer": 1, "seq": 1, "source.last_gen": 1, "source.len": 1}
ATTEMPTS = 10


def insert(collection: Collection[Document], packed: list[bytes]) -> list[bytes]:
    """Insert documents; return those that exist already.

    Raises:
        Failure: MongoDB refuses a document.
        PyMongoError: MongoDB does not answer; the caller can try again.
    """
    try:
        collection.insert_many([RawBSONDocument(one) for one in packed], ordered=False)
    except BulkWriteError as error:
        details: Document = dict(error.details or {})
        errors = details.get("writeErrors", [])
        wrong = [each for each in errors if each["code"] != DUPLICATE_KEY]
        wrong += details.get("writeConcernErrors", [])
        if wrong:
            # The error itself contains whole documents.
            why = str(wrong[0].get("errmsg"))[:300]
            raise Failure(f"MongoDB refuses {collection.name}: {why}") from None
        return [packed[each["index"]] for each in errors]
    return []


class Lines:
    """Existing lines, whose generation and length never decrease.

    Args:
        db: The database to load into.
        acked: The highest acknowledged `seq` of each buffer, in either place.
    """

    def __init__(self, db: Database[Document], acked: dict[str, int]) -> None:
        self._lines, self._acked = db[CONVERSATIONS], acked

    def refresh(self, packed: list[bytes]) -> int:
        """Update lines that are more advanced in the backup; return how many."""
        if not packed:
            return 0
        # Two parts may have the same line.
        saved = [RawBSONDocument(one) for one in packed]
        found = self._lines.find({"_id": {"$in": [one["_id"] for one in saved]}}, SEEN)
        stored = {bytes(one["_id"]): one for one in found}
        updates = [
            update
            for one in saved
            if (there := stored.get(bytes(one["_id"])))
            for update in self._updates(there, one)
        ]
        if not updates:
            return 0
        return self._lines.bulk_write(updates, ordered=False).modified_count

    def _updates(self, stored: Document, saved: Any) -> Iterable[UpdateOne]:
        mine, other = stored["source"], saved["source"]
        gen, length = other["last_gen"], other["len"]
        here = {"_id": stored["_id"]}
        if gen > mine["last_gen"]:
            moved = {"source.last_gen": gen, "source.len": length}
            yield UpdateOne({**here, "source.last_gen": {"$lt": gen}}, {"$set": moved})
        elif gen == mine["last_gen"] and length > mine["len"]:
            same = {**here, "source.last_gen": gen}
            yield UpdateOne(same, {"$max": {"source.len": length}})
        # Extraction does not see a line above the watermark of its buffer.
        if not self._is_acked(stored) and self._is_acked(saved):
            where = {**here, "buffer": stored["buffer"], "seq": stored["seq"]}
            stamp = {"buffer": saved["buffer"], "seq": saved["seq"]}
            yield UpdateOne(where, {"$set": stamp})

    def _is_acked(self, line: Any) -> bool:
        return bool(line["seq"] <= self._acked.get(line["buffer"], -1))


def merge_files(db: Database[Document], packed: list[bytes]) -> int:
    """Load the checkpoints that are more advanced than the existing ones.

    Returns:
        The number of checkpoints that were updated.
    """
    return sum(_merge_file(db, decode(one)) for one in packed)


def _merge_file(db: Database[Document], saved: Document) -> bool:
    for _ in range(ATTEMPTS):
        stored = db[FILES].find_one({"_id": saved["_id"]})
        if stored is None or _reached(stored) >= _reached(saved):
            return False
        paths = dict.fromkeys([*saved.get("paths", []), *stored.get("paths", [])])
        # Ingestion may update it in the meantime; then this tries again.
        seen = {name: stored.get(name) for name in ("_id", "gen", "off", "path")}
        new = {**saved, "paths": list(paths)}
        if db[FILES].replace_one(seen, new).matched_count:
            return True
    raise Failure(
        f"the checkpoint of {saved['_id']} keeps changing", "Run the load again."
    )


def merge_watermarks(db: Database[Document], packed: list[bytes]) -> int:
    """Raise watermarks to those of the backup; return how many were raised."""
    moved = 0
    for saved in map(decode, packed):
        behind = {"_id": saved["_id"], "acked_seq": {"$lt": saved["acked_seq"]}}
        moved += db[WATERMARKS].replace_one(behind, saved).modified_count
    return moved


def _reached(file: Document) -> tuple[int, int]:
    return int(file.get("gen") or 0), int(file.get("off") or 0)
