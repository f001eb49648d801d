"""Write the collections `files` and `watermarks`."""

from datetime import UTC, datetime
from typing import Any

from bson.int64 import Int64
from cclake_archive.checkpoints import FILES
from cclake_archive.watermarks import WATERMARKS
from cclake_common.failpoint import failpoint
from pymongo import UpdateOne

from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import Checkpoint


def write_files(mongo: Mongo, checkpoints: list[Checkpoint], buffer: str) -> None:
    """Store the last delivered checkpoint of each file, and every path it has had."""
    now = datetime.now(UTC)
    updates = [_update(each, buffer, now) for each in checkpoints]
    mongo.database[FILES].bulk_write(updates, ordered=False)


def _update(each: Checkpoint, buffer: str, now: datetime) -> UpdateOne:
    place: dict[str, Any] = {
        "host": each.host,
        "root": each.root,
        "path": each.path,
        "state": each.state,
        "at": now,
        "checkpoint": each.text,
    }
    content = {
        "gen": each.generation,
        "off": Int64(each.off),
        "size": None if each.size is None else Int64(each.size),
        "buffer": buffer,
    }
    change: dict[str, Any] = {"$set": place, "$addToSet": {"paths": each.path}}
    if each.former:
        change["$setOnInsert"] = content
    else:
        place |= content
    return UpdateOne({"_id": each.file}, change, upsert=True)


def move_watermark(
    mongo: Mongo, buffer: str, host: str, acked: int, text_seq: int
) -> None:
    """Record that every line of a buffer up to `acked` is in MongoDB or dead.

    Up to `text_seq`, all documents have their text for the text index.
    """
    mongo.database[WATERMARKS].update_one(
        {"_id": buffer},
        {
            "$max": {"acked_seq": Int64(acked)},
            "$set": {
                "host": host,
                "at": datetime.now(UTC),
                "text_seq": Int64(text_seq),
            },
        },
        upsert=True,
    )
    failpoint("after_watermark")


def touch_watermark(mongo: Mongo, buffer: str, host: str) -> None:
    """Update only the time of a watermark, to check that MongoDB can write.

    Raises:
        PyMongoError: MongoDB can't write now.
    """
    mongo.database[WATERMARKS].update_one(
        {"_id": buffer},
        {
            "$max": {"acked_seq": Int64(0)},
            "$currentDate": {"at": True},
            "$setOnInsert": {"host": host},
        },
        upsert=True,
    )
