"""The format guard: count what log lines hold that is not known, per version."""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from bson.int64 import Int64
from pymongo import UpdateOne

from cclake_flusher.documents import Document
from cclake_flusher.mongo import Mongo
from cclake_flusher.strange import Key

EVERY_S = 5.0
MOST_NAMES = 1000


class Guard:
    """Counts unknown types and fields; writes the counts now and then."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._written = 0.0

    def look(self, documents: Iterable[Document]) -> None:
        """Count what was strange in the lines of these documents."""
        for document in documents:
            for key in document.strange:
                self._add(key)

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
