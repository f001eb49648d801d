"""What is new in the collections that only grow, since the last part was saved.

A line is new when its `seq` lies above the watermark that the last part holds. But
an old document may have changed, too: its generation, its length, its place in the
log. That comes with a change of its file's checkpoint, and before it; so the
documents of a changed file are looked through, from the first that can have changed.
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

from cclake_backup.bsonfile import documents, verify
from cclake_backup.folder import Part
from cclake_backup.mongo import (
    BULKY_CHUNKS,
    BULKY_FILES,
    in_batches,
)

TOGETHER = 100


class News:
    """What came after the parts that a backup has.

    Args:
        db: The archive.
        before: The parts, oldest first; the first one is whole.
        now: The file of the new part with its `files`.
    """

    def __init__(
        self, db: Database[Document], before: list[Part], now: Callable[[], Path]
    ) -> None:
        self._db, self._now = db, now
        self._acked = {
            one["_id"]: int(one["acked_seq"]) for one in _saved(before[-1], WATERMARKS)
        }
        self._files = {one["_id"]: _place(one) for one in _saved(before[-1], FILES)}
        held = {one["_id"] for part in before for one in _saved(part, BULKY_FILES)}
        self._held_bulky = held

    def batches(self, collection: str) -> Iterator[Iterable[bytes]]:
        """Cursors over what is new in a collection."""
        if collection == CONVERSATIONS:
            yield from self._changed()
            yield from self._added()
        else:
            field = {BULKY_FILES: "_id", BULKY_CHUNKS: "files_id"}[collection]
            new = self._new_bulky()
            for at in range(0, len(new), TOGETHER):
                some = {"$in": new[at : at + TOGETHER]}
                yield in_batches(self._db[collection], {field: some})

    def _added(self) -> Iterator[Iterable[bytes]]:
        """Documents above the watermark of their buffer, acknowledged or not.

        A lost buffer's documents are stamped anew by the buffer after it. So the
        youngest buffer comes last: what leaves one during the save is met in another.
        """
        at = {one["_id"]: one.get("at") for one in self._db[WATERMARKS].find()}
        buffers = self._db[CONVERSATIONS].distinct("buffer")
        for name in sorted(buffers, key=lambda one: (one not in at, str(at.get(one)))):
            above = {"$gt": self._acked.get(name, -1)}
            yield in_batches(self._db[CONVERSATIONS], {"buffer": name, "seq": above})

    def _changed(self) -> Iterator[Iterable[bytes]]:
        """Documents that the parts have, as far as they can have changed since."""
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
        """Where the documents of a file can have changed: an `_id`.

        Within a generation only the last line may have grown, and those that follow
        may have been met again in it; a new generation meets any.
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

    def _new_bulky(self) -> list[Any]:
        found = self._db[BULKY_FILES].find({}, {"_id": 1})
        return [one["_id"] for one in found if one["_id"] not in self._held_bulky]


def _place(file: Document) -> tuple[Any, int, Any]:
    return file.get("gen"), int(file.get("off") or 0), file.get("buffer")


def _saved(part: Part, collection: str) -> Iterator[Document]:
    """What a part has of a collection; a part must not be built on a damaged one.

    Raises:
        Failure: Its file is missing, or not what was saved.
    """
    file = part.manifest.data(collection)
    if file:
        try:
            verify(part.path, file)
        except Failure as failure:
            raise Failure(
                str(failure), "Save everything anew: with --whole, or elsewhere."
            ) from failure
        yield from map(decode, documents(part.path / file.path))
