"""Add to documents the text that MongoDB's text index covers."""

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
    """Adds the text of stored documents while there is nothing else to do.

    Indexing the words of a line takes several times as long as inserting its document.
    So, once the index is built, the text of new documents is added later, and the
    watermark says up to which line all have it (`text_seq`). Documents of a buffer that
    was replaced, or loaded from a backup, follow after those of this buffer.
    """

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._buffer = ""
        self._others: list[tuple[str, int, int]] = []  # buffer, `text_seq`, `acked_seq`
        self.seq = 0

    def open(self, buffer: str, acked: int) -> None:
        """Read how far the documents of a buffer have their text.

        Raises:
            PyMongoError: MongoDB can't be reached.
        """
        if buffer != self._buffer:
            marks = self._mongo.database[WATERMARKS]
            mark = marks.find_one({"_id": buffer}) or {}
            behind = {"$expr": {"$lt": ["$text_seq", "$acked_seq"]}}
            lacking = {"_id": {"$ne": buffer}, "text_seq": {"$exists": True}} | behind
            self._others = [
                (str(one["_id"]), int(one["text_seq"]), int(one["acked_seq"]))
                for one in marks.find(lacking)
            ]
            self.seq, self._buffer = int(mark.get("text_seq", acked)), buffer

    def fill(self, acked: int) -> bool:
        """Add the text of the next documents; return False if all have it.

        Raises:
            PyMongoError: MongoDB can't be reached; it can be repeated.
        """
        if self.seq < acked:
            self.seq = self._fill(self._buffer, self.seq, acked)
        elif self._others:
            buffer, seq, last = self._others[-1]
            seq = self._fill(buffer, seq, last)
            self._others[-1:] = [(buffer, seq, last)] if seq < last else []
        else:
            return False
        return True

    def _fill(self, buffer: str, after: int, acked: int) -> int:
        """Fill the next documents of a buffer; return up to which all have theirs."""
        where = {"buffer": buffer, "seq": {"$gt": after, "$lte": acked}}
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
        done = last if count == FILLED_AT_ONCE else acked
        self._mongo.database[WATERMARKS].update_one(
            {"_id": buffer}, {"$max": {"text_seq": Int64(done)}}
        )
        return done
