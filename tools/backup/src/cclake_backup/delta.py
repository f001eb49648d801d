"""Find what is new in the growing collections since the last part was saved.

A line is new if its `seq` is above the watermark in the last part. But the generation,
the length or the sequence number of an old document may have changed as well. Its
file's checkpoint changes after that. So the documents of a changed file are read again,
from the first one that may have changed.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bson import decode
from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document
from cclake_archive.ids import key_range, lowest_id, offset_of
from cclake_archive.lines import CONVERSATIONS
from cclake_archive.watermarks import WATERMARKS
from cclake_common.failure import Failure
from pymongo.database import Database

from cclake_backup.bsonfile import check_hash, documents
from cclake_backup.folder import Part
from cclake_backup.mongo import (
    GRIDFS_CHUNKS,
    GRIDFS_FILES,
    in_batches,
)

FILES_PER_QUERY = 100


class Delta:
    """The documents that the parts of a backup lack.

    Args:
        db: The archive.
        before: The parts, oldest first; the first one is full.
        now: Returns the path of the new part's documents of `files`.
    """

    def __init__(
        self, db: Database[Document], before: list[Part], now: Callable[[], Path]
    ) -> None:
        self._db, self._now = db, now
        self._acked = {
            one["_id"]: int(one["acked_seq"]) for one in _saved(before[-1], WATERMARKS)
        }
        self._files = {one["_id"]: _place(one) for one in _saved(before[-1], FILES)}
        held = {one["_id"] for part in before for one in _saved(part, GRIDFS_FILES)}
        self._saved_gridfs = held

    def batches(self, collection: str) -> Iterator[Iterable[bytes]]:
        """Yield cursors over the new documents of a collection."""
        if collection == CONVERSATIONS:
            yield from self._changed()
            yield from self._added()
        else:
            field = {GRIDFS_FILES: "_id", GRIDFS_CHUNKS: "files_id"}[collection]
            new = self._new_gridfs()
            for at in range(0, len(new), FILES_PER_QUERY):
                some = {"$in": new[at : at + FILES_PER_QUERY]}
                yield in_batches(self._db[collection], {field: some})

    def _added(self) -> Iterator[Iterable[bytes]]:
        """Yield cursors over documents above their buffer's watermark.

        After a buffer was lost, the next one changes the buffer and `seq` of its
        documents. So the newest buffer comes last: a document that leaves one buffer
        during the save is found in a later one.
        """
        at = {one["_id"]: one.get("at") for one in self._db[WATERMARKS].find()}
        buffers = self._db[CONVERSATIONS].distinct("buffer")
        for name in sorted(buffers, key=lambda one: (one not in at, str(at.get(one)))):
            above = {"$gt": self._acked.get(name, -1)}
            yield in_batches(self._db[CONVERSATIONS], {"buffer": name, "seq": above})

    def _changed(self) -> Iterator[Iterable[bytes]]:
        """Yield cursors over saved documents that may have changed since."""
        known = [
            {"buffer": name, "seq": {"$lte": seq}} for name, seq in self._acked.items()
        ]
        if not known or not self._now().exists():
            return
        for packed in documents(self._now()):
            file = decode(packed)
            if self._files.get(file["_id"]) != _place(file):
                span = key_range(file["_id"]) | {"$gte": self._start(file)}
                yield in_batches(self._db[CONVERSATIONS], {"_id": span, "$or": known})

    def _start(self, file: Document) -> bytes:
        """Return the first `_id` of a file that may have changed.

        Within a generation, only the last line and those after it may have changed. A
        new generation may change any line.
        """
        key = file["_id"]
        gen, off, buffer = self._files.get(key, (None, 0, None))
        if (gen, buffer) != (file["gen"], file["buffer"]) or off > file["off"]:
            return lowest_id(key)
        last = self._db[CONVERSATIONS].find_one(
            {"_id": {"$gte": lowest_id(key), "$lt": lowest_id(key, off)}},
            {"_id": 1},
            sort=[("_id", -1)],
        )
        return lowest_id(key, offset_of(last["_id"]) if last else 0)

    def _new_gridfs(self) -> list[Any]:
        found = self._db[GRIDFS_FILES].find({}, {"_id": 1})
        return [one["_id"] for one in found if one["_id"] not in self._saved_gridfs]


def _place(file: Document) -> tuple[Any, int, Any]:
    return file.get("gen"), int(file.get("off") or 0), file.get("buffer")


def _saved(part: Part, collection: str) -> Iterator[Document]:
    """Yield the documents of a part's collection, after checking its hash.

    Raises:
        Failure: Its file is missing or damaged, so no part may continue it.
    """
    file = part.manifest.data(collection)
    if file:
        try:
            check_hash(part.path, file)
        except Failure as failure:
            raise Failure(
                str(failure),
                "Save everything again, with --whole or into another folder.",
            ) from failure
        yield from map(decode, documents(part.path / file.path))
