"""The format guard: count what log lines hold that is not known, per version."""

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from bson.int64 import Int64
from pymongo import UpdateOne

from cclake_flusher.documents import Document
from cclake_flusher.known import FIELDS, TYPES
from cclake_flusher.mongo import Mongo

EVERY_S = 5.0
LONGEST_NAME = 100
MOST_NAMES = 1000
Key = tuple[str, str, str]


class Guard:
    """Counts unknown types and fields; writes the counts now and then."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._written = 0.0

    def look(self, documents: list[Document]) -> None:
        """Count what is unknown in parsed log lines."""
        for document in documents:
            entry = document.entry
            if entry is None or not document.line.path.endswith(".jsonl"):
                continue
            if entry.keys() <= FIELDS and entry.get("type", "user") in TYPES:
                continue
            self._count(entry)

    def _count(self, entry: dict[str, Any]) -> None:
        version = _name(entry.get("version") or "unknown")
        kind = entry.get("type")
        if kind is not None and kind not in TYPES:
            self._add((version, "type", _name(kind)))
        for field in entry.keys() - FIELDS:
            self._add((version, "field", _name(field)))

    def _add(self, key: Key) -> None:
        # Hostile lines may make up names without end.
        if key in self._counts or len(self._counts) < MOST_NAMES:
            self._counts[key] += 1

    def write(self, mongo: Mongo, *, now: bool = False) -> None:
        """Add the counts to `format_guard`, if it is time or `now` is set.

        Raises:
            PyMongoError: They were not added, and are kept.
        """
        due = now or time.monotonic() - self._written > EVERY_S
        if not self._counts or not due:
            return
        updates = [_update(key, count) for key, count in self._counts.items()]
        mongo.database["format_guard"].bulk_write(updates, ordered=False)
        self._counts.clear()
        self._written = time.monotonic()


def _update(key: Key, count: int) -> UpdateOne:
    version, kind, name = key
    return UpdateOne(
        {"_id": {"version": version, "kind": kind, "name": name}},
        {
            "$inc": {"count": Int64(count)},
            "$setOnInsert": {"first_seen": datetime.now(UTC), "known": False},
        },
        upsert=True,
    )


def _name(value: object) -> str:
    text = value if isinstance(value, str) else type(value).__name__
    return text[:LONGEST_NAME].replace("\0", "\ufffd")
