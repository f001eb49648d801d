"""What MongoDB holds that the table may take."""

from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from bson.raw_bson import RawBSONDocument
from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import mask
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, PyMongoError

Document = dict[str, Any]
OPTIONS: CodecOptions[Document] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
LENIENT: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, unicode_decode_error_handler="replace"
)
SLICE = 100
BATCH = 1_000  # in one answer of the server; without it an answer is 16 MB
REACH_MS = 5000


def connect(uri: str) -> MongoClient[Document]:
    """A client that gives up quickly.

    Raises:
        Failure: The address can't be understood.
    """
    try:
        return MongoClient(uri, serverSelectionTimeoutMS=REACH_MS, appname="extract")
    except (ConfigurationError, ValueError) as error:
        raise Failure(
            f"{mask(uri)} is no MongoDB address: {error}", "check MONGO_URI"
        ) from error


def unreachable(uri: str, error: PyMongoError) -> Failure:
    """The failure to raise when MongoDB did not answer; what was committed stays."""
    where = urlsplit(mask(uri)).netloc or mask(uri)
    return Failure(
        f"MongoDB at {where} failed: {str(error).splitlines()[0][:200]}",
        "start it or check MONGO_URI, then run extract again: it goes on where it was",
        TRY_LATER,
    )


def acknowledged(database: Database[Document]) -> dict[str, int]:
    """How far each buffer is acknowledged: buffer id -> seq."""
    found = database["watermarks"].find({}, {"acked_seq": 1})
    return {str(w["_id"]): int(w["acked_seq"]) for w in found}


def behind(acked: dict[str, int], taken: dict[str, int]) -> list[tuple[str, int, int]]:
    """The ranges that are acknowledged and not taken: (buffer, after, up to)."""
    return [
        (buffer, taken.get(buffer, 0), seq)
        for buffer, seq in sorted(acked.items())
        if seq > taken.get(buffer, 0)
    ]


def query(buffer: str, after: int, up_to: int) -> Document:
    """The filter of one range."""
    return {"buffer": buffer, "seq": {"$gt": after, "$lte": up_to}}


def slices(database: Database[Document], condition: Document) -> Iterator[bytes]:
    """The documents of a condition by rising seq, as raw BSON, some at a time."""
    cursor = database["conversations"].find_raw_batches(
        condition, sort=[("seq", 1)], allow_disk_use=True, batch_size=BATCH
    )
    with cursor:
        for batch in cursor:
            yield from cut(cast("bytes", batch), SLICE)


def cut(batch: bytes, count: int) -> Iterator[bytes]:
    """Cut concatenated BSON documents into pieces of `count` documents."""
    start = place = found = 0
    while place < len(batch):
        place += int.from_bytes(batch[place : place + 4], "little")
        found += 1
        if found == count or place >= len(batch):
            yield batch[start:place]
            start, found = place, 0
