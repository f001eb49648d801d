"""What a document that is there already learns from the line that came again."""

from collections.abc import Iterable
from typing import Any

from bson.binary import Binary
from bson.int64 import Int64
from pymongo import UpdateOne

from cclake_flusher.documents import Document
from cclake_flusher.mongo import Mongo

SEEN = {"buffer": 1, "seq": 1, "source.last_gen": 1, "source.len": 1}


def refresh(mongo: Mongo, repeats: list[Document], buffer: str) -> None:
    """Move what moves: the newest generation, the length, the log sequence number.

    A document that another buffer inserted but never acknowledged would stay
    invisible to extraction, which reads up to each buffer's watermark: it is
    stamped with the number that it has in this buffer.

    Raises:
        PyMongoError: Not all of it was written; it can be repeated.
    """
    wanted = {document.id: document for document in repeats}
    found = mongo.conversations.find(
        {"_id": {"$in": [Binary(id_) for id_ in wanted]}}, SEEN
    )
    stored = {bytes(each["_id"]): each for each in found}
    marks = _watermarks(mongo, {each["buffer"] for each in stored.values()} - {buffer})
    updates: list[UpdateOne] = []
    for document in repeats:
        if document.id in stored:
            updates += _updates(document, stored[document.id], buffer, marks)
    if updates:
        mongo.conversations.bulk_write(updates, ordered=False)


def _updates(
    document: Document, stored: dict[str, Any], buffer: str, marks: dict[str, int]
) -> list[UpdateOne]:
    line = document.line
    updates = []
    source = stored["source"]
    gen, length = line.generation, Int64(line.len)
    if gen > source["last_gen"]:
        # In the new generation its newline may be there, or not be there any more.
        where = {"_id": stored["_id"], "source.last_gen": {"$lt": gen}}
        change = {"source.last_gen": gen, "source.len": length}
        updates.append(UpdateOne(where, {"$set": change}))
    elif gen == source["last_gen"] and length > source["len"]:
        longer = {"$max": {"source.len": length}}
        updates.append(UpdateOne({"_id": stored["_id"]}, longer))
    other = stored["buffer"]
    if other != buffer and stored["seq"] > marks.get(other, 0):
        # Only as it was seen: its own buffer may have acknowledged it meanwhile.
        where = {"_id": stored["_id"], "buffer": other, "seq": stored["seq"]}
        stamp = {"buffer": buffer, "seq": Int64(line.seq)}
        updates.append(UpdateOne(where, {"$set": stamp}))
    return updates


def _watermarks(mongo: Mongo, buffers: Iterable[str]) -> dict[str, int]:
    names = list(buffers)
    if not names:
        return {}
    found = mongo.database["watermarks"].find({"_id": {"$in": names}})
    return {each["_id"]: each["acked_seq"] for each in found}
