"""The lines themselves, from MongoDB; the web face works without it too."""

import binascii
from collections.abc import Iterable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from bson import Binary
from bson.errors import BSONError
from cclake_archive.client import Document, connect
from cclake_archive.lines import BrokenLine, line_bytes
from cclake_common.failure import Failure
from pymongo import MongoClient
from pymongo.errors import PyMongoError

TIMEOUT_MS = 2000


class Unreachable(Exception):
    """MongoDB does not answer."""


class Lines:
    """Reads `conversations`; connects at the first question."""

    def __init__(self, uri: str, name: str) -> None:
        self.uri, self.name = uri, name
        self._client: MongoClient[Document] | None = None
        self._lock = Lock()

    def _database(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = connect(
                    self.uri,
                    "web",
                    serverSelectionTimeoutMS=TIMEOUT_MS,
                    connectTimeoutMS=TIMEOUT_MS,
                    socketTimeoutMS=10_000,
                    tz_aware=True,
                )
            return self._client[self.name]

    def line(self, doc_id: str) -> tuple[Document, bytes] | None:
        """A document and the bytes of its line; None where there is none.

        Raises:
            Unreachable: MongoDB does not answer.
        """
        try:
            key = Binary(binascii.unhexlify(doc_id), 0)
        except binascii.Error:
            return None
        try:
            database = self._database()
            document = database.conversations.find_one({"_id": key})
            if document is None:
                return None
            return document, line_bytes(database, document)
        except (Failure, PyMongoError, BSONError, BrokenLine) as error:
            raise Unreachable(str(error)) from error

    def newer(
        self, session_id: str, since: datetime, limit: int, known: Sequence[bytes] = ()
    ) -> list[Document]:
        """The first lines of a session taken in at or after a moment, in order.

        Args:
            session_id: The session.
            since: The moment.
            limit: At most so many.
            known: Ids of lines to leave out.

        Raises:
            Unreachable: MongoDB does not answer.
        """
        asked: Document = {"sessionId": session_id, "ingestedAt": {"$gte": since}}
        asked["_id"] = {"$nin": [Binary(key) for key in known]}
        wanted = {"_id": 1, "entry": 1, "ingestedAt": 1, "source": 1, "seq": 1}
        try:
            found = self._database().conversations.find(asked, wanted)
            order = [("ingestedAt", 1), ("buffer", 1), ("seq", 1)]
            return list(found.sort(order).limit(limit))
        except (Failure, PyMongoError, BSONError) as error:
            raise Unreachable(str(error)) from error


def keys(documents: Iterable[Document]) -> list[str]:
    """The ids of documents in hex."""
    return [bytes(document["_id"]).hex() for document in documents]
