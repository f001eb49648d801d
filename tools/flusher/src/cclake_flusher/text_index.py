"""The text of a document for MongoDB's text index, and when it gets it."""

from typing import Any

from bson.int64 import Int64
from cclake_archive.watermarks import WATERMARKS
from pymongo import UpdateOne

from cclake_flusher.mongo import Mongo

FILLED_AT_ONCE = 100
# MongoDB writes one key per distinct word: long texts would cost more than the rest of
# ingestion. The pages search full texts in the export.
MAX_CHARACTERS = 1000
# Titles, prompts of the history, summaries, queued prompts, system messages.
_FIELDS = (
    "summary", "aiTitle", "customTitle", "lastPrompt", "display", "content",
)  # fmt: skip


def search_text(entry: dict[str, Any]) -> str:
    """Return the first 1000 characters that a person wrote or read in an entry.

    These are prompts, answers, thinking, titles and summaries. Tool input and output
    would make the index larger than the conversations.
    """
    parts: list[str] = []
    message = entry.get("message")
    if isinstance(message, dict):
        _add(parts, message.get("content"))
    for name in _FIELDS:
        _add(parts, entry.get(name))
    return "\n".join(parts)[:MAX_CHARACTERS]


def _add(parts: list[str], value: Any) -> None:
    if isinstance(value, str):
        if value:
            parts.append(value[:MAX_CHARACTERS])
    elif isinstance(value, list):
        for block in value:
            if isinstance(block, dict):
                for name in ("text", "thinking"):
                    text = block.get(name)
                    if isinstance(text, str) and text:
                        parts.append(text[:MAX_CHARACTERS])


class Texts:
    """Give stored documents their text while nothing else is to do.

    To add the words of a line to the index takes several times as long as to insert its
    document. So, once the index is built, new documents get their text later, and the
    watermark says up to which line all have it (`text_seq`).
    """

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._buffer = ""
        self.seq = 0

    def open(self, buffer: str, acked: int) -> None:
        """Read how far the documents of a buffer have their text.

        Raises:
            PyMongoError: MongoDB can't be reached.
        """
        if buffer != self._buffer:
            mark = self._mongo.database[WATERMARKS].find_one({"_id": buffer}) or {}
            self.seq, self._buffer = int(mark.get("text_seq", acked)), buffer

    def fill(self, acked: int) -> bool:
        """Give the next documents their text; return False if all have it.

        Raises:
            PyMongoError: MongoDB can't be reached; it can be repeated.
        """
        if self.seq >= acked:
            return False
        where = {"buffer": self._buffer, "seq": {"$gt": self.seq, "$lte": acked}}
        fields = {"seq": 1, "entry": 1, "text": 1}
        found = self._mongo.conversations.find(where, fields).sort("seq")
        updates, last, count = [], acked, 0
        for document in found.limit(FILLED_AT_ONCE):
            count, last = count + 1, int(document["seq"])
            entry = document.get("entry")
            if isinstance(entry, dict) and "text" not in document:
                text = search_text(entry)
                change = {"$set": {"text": text}}
                updates += [UpdateOne({"_id": document["_id"]}, change)] if text else []
        if updates:
            self._mongo.conversations.bulk_write(updates, ordered=False)
        self.seq = last if count == FILLED_AT_ONCE else acked
        self._mongo.database[WATERMARKS].update_one(
            {"_id": self._buffer}, {"$set": {"text_seq": Int64(self.seq)}}
        )
        return True
