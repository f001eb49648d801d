"""Query the documents that MongoDB has and the table does not."""

from collections.abc import Iterator
from typing import cast

from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from cclake_archive.client import Document
from pymongo.database import Database

Range = tuple[str, int, int]
"""A buffer, and two numbers: the lines after the first up to the second."""
OPTIONS: CodecOptions[Document] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
# One decoded batch should fit into the caches of a processor. By default a batch of the
# server has up to 16 MB.
BATCH = 500
SLICE_BYTES = 2 << 20
REACH_MS = 5000
HINT = "Start it or check MONGO_URI, then run extract again: it resumes."


def missing_ranges(acked: dict[str, int], taken: dict[str, int]) -> list[Range]:
    """Return the ranges that are acknowledged and not in the table."""
    return [
        (buffer, taken.get(buffer, 0), seq)
        for buffer, seq in sorted(acked.items())
        if seq > taken.get(buffer, 0)
    ]


def query(buffer: str, after: int, up_to: int) -> Document:
    """Return the filter of one range."""
    return {"buffer": buffer, "seq": {"$gt": after, "$lte": up_to}}


def count(database: Database[Document], part: Range) -> int:
    """Return the number of documents in a range."""
    return database["conversations"].count_documents(query(*part))


def nth_seq(database: Database[Document], part: Range, number: int) -> int | None:
    """Return the `seq` of the n-th document of a range, from 1, or None."""
    found = database["conversations"].find(
        query(*part),
        {"_id": 0, "seq": 1},
        sort=[("seq", 1)],
        skip=number - 1,
        limit=1,
    )
    return next((int(document["seq"]) for document in found), None)


def read(database: Database[Document], condition: Document) -> Iterator[bytes]:
    """Yield batches of the documents that meet a condition, as raw BSON, by seq."""
    cursor = database["conversations"].find_raw_batches(
        condition, sort=[("seq", 1)], allow_disk_use=True, batch_size=BATCH
    )
    with cursor:
        for batch in cursor:
            yield from split_batch(cast("bytes", batch), SLICE_BYTES)


def split_batch(batch: bytes, size: int) -> Iterator[bytes]:
    """Yield pieces of concatenated BSON documents, each of about `size` bytes."""
    start = place = 0
    if 0 < len(batch) <= size:
        place = len(batch)
        yield batch
    while place < len(batch):
        place += int.from_bytes(batch[place : place + 4], "little")
        if place - start >= size or place >= len(batch):
            yield batch[start:place]
            start = place
