"""Read how far each buffer is acknowledged by MongoDB."""

from collections.abc import Collection

from pymongo.database import Database

from cclake_archive.client import Document

WATERMARKS = "watermarks"


def acknowledged(
    database: Database[Document], buffers: Collection[str] | None = None
) -> dict[str, int]:
    """Return the highest acknowledged `seq` of each buffer, by its id.

    Args:
        database: The archive.
        buffers: Ids to look up; None for all.
    """
    if buffers is not None and not buffers:
        return {}
    wanted: Document = {"_id": {"$in": sorted(buffers)}} if buffers else {}
    found = database[WATERMARKS].find(wanted, {"acked_seq": 1})
    return {str(mark["_id"]): int(mark.get("acked_seq") or 0) for mark in found}


def total(database: Database[Document]) -> int:
    """Return the sum over all buffers; it grows with each batch."""
    return sum(acknowledged(database).values())
