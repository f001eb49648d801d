"""Check whether the generations of a backup and of a database are comparable.

A new buffer continues after the generations that MongoDB has of each file. But if
MongoDB was empty, it counts from 0 again, for other content. Then its generations
contradict those in an older backup of the same file.
"""

from collections.abc import Iterator

from bson import decode
from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document
from cclake_archive.watermarks import WATERMARKS, acknowledged
from cclake_common.failure import Failure
from pymongo.database import Database

from cclake_backup.bsonfile import documents
from cclake_backup.folder import Part


def watermarks(db: Database[Document], part: Part) -> tuple[dict[str, int], set[str]]:
    """Return each buffer's highest watermark, and the buffers in the database."""
    there = acknowledged(db)
    saved = {one["_id"]: int(one["acked_seq"]) for one in _documents(part, WATERMARKS)}
    highest = {
        name: max(there.get(name, -1), saved.get(name, -1)) for name in there | saved
    }
    return highest, set(there)


def compare(db: Database[Document], part: Part) -> dict[str, int]:
    """Return the highest watermarks, if a load is possible.

    Raises:
        Failure: Files were rewritten, and archived again by a buffer that does not know
            the generations in the backup.
    """
    highest, there = watermarks(db, part)
    saved = {one["_id"] for one in _documents(part, WATERMARKS)}
    known = {
        one["_id"]: one
        for one in db[FILES].find({}, {"gen": 1, "buffer": 1})
        if one["buffer"] not in saved
    }
    apart = 0
    for file in _documents(part, FILES):
        stored = known.get(file["_id"])
        if stored and file["buffer"] not in there and (stored["gen"] or file["gen"]):
            apart += 1
    if apart:
        raise Failure(
            f"{apart} files were rewritten, and archived again after MongoDB lost them:"
            " their generations contradict the backup",
            "Load into an empty database, before you start ingestion.",
        )
    return highest


def _documents(part: Part, collection: str) -> Iterator[Document]:
    file = part.manifest.data(collection)
    if file:
        yield from map(decode, documents(part.path / file.path))
