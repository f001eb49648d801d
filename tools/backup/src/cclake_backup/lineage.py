"""Whether the generations of a backup and of a database can be compared.

A buffer that was made anew goes on above the generations that MongoDB knows of each
file. One that began in an empty MongoDB counted from 0 again, for other content: its
generations and those of an older backup of the same file contradict each other.
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
    """The highest watermark of each buffer, there or in the part; and those there."""
    there = acknowledged(db)
    saved = {one["_id"]: int(one["acked_seq"]) for one in _documents(part, WATERMARKS)}
    highest = {
        name: max(there.get(name, -1), saved.get(name, -1)) for name in there | saved
    }
    return highest, set(there)


def compare(db: Database[Document], part: Part) -> dict[str, int]:
    """The highest watermarks, once nothing speaks against a load.

    Raises:
        Failure: Files were rewritten, and archived anew by a buffer that does not know
            the backup's.
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
            f"{apart} files were rewritten, and archived anew since MongoDB lost them:"
            " their generations cannot be told apart",
            "Load into an empty database, before ingestion is started.",
        )
    return highest


def _documents(part: Part, collection: str) -> Iterator[Document]:
    file = part.manifest.data(collection)
    if file:
        yield from map(decode, documents(part.path / file.path))
