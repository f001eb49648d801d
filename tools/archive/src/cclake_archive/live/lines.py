"""Read lines from MongoDB; the callers also work without it."""

import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import pymongo
from bson import Binary
from bson.errors import BSONError
from cclake_common.failure import Failure
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from cclake_archive.client import Document, connect
from cclake_archive.lines import BrokenLine, line_bytes
from cclake_archive.watermarks import acknowledged

TIMEOUT_MS = 2000
ASK_S, READ_S = 2.0, 10.0  # time limits for watermarks and for lines, in seconds
LARGEST = 4_000_000  # maximum bytes of a line that the list, search and threads read
_READ = {
    "entry": 1, "buffer": 1, "seq": 1, "sessionId": 1, "host": 1, "projectId": 1,
    "sourceFile": 1, "timestamp": 1, "ingestedAt": 1, "source.file": 1, "source.len": 1,
    # Only if the entry is not in the document as BSON.
    "raw": {"$cond": [{"$eq": [{"$type": "$entry"}, "object"]}, "$$REMOVE", "$raw"]},
}  # fmt: skip


class Unreachable(Exception):
    """MongoDB does not answer."""


class Lines:
    """Reads `conversations`; connects at the first query.

    Args:
        uri: Address of MongoDB.
        name: Name of the database.
        tool: Name in the server's log.
    """

    def __init__(self, uri: str, name: str, tool: str) -> None:
        self.uri, self.name, self.tool = uri, name, tool
        self._client: MongoClient[Document] | None = None
        self._lock = Lock()

    def close(self) -> None:
        """Close the connection; the next query would open another one."""
        with self._lock:
            if self._client:
                self._client.close()
            self._client = None

    @contextmanager
    def _database(self, seconds: float) -> Iterator[Database[Document]]:
        try:
            with self._lock:
                if self._client is None:
                    self._client = connect(
                        self.uri,
                        self.tool,
                        serverSelectionTimeoutMS=TIMEOUT_MS,
                        connectTimeoutMS=TIMEOUT_MS,
                        socketTimeoutMS=10_000,
                        tz_aware=True,
                    )
            with pymongo.timeout(seconds):
                yield self._client[self.name]
        except (Failure, PyMongoError, BSONError, BrokenLine) as error:
            raise Unreachable(str(error)) from error

    def line(self, doc_id: str) -> tuple[Document, bytes] | None:
        """Return a document and the bytes of its line, or None if it does not exist.

        Raises:
            Unreachable: MongoDB does not answer.
        """
        try:
            key = Binary(binascii.unhexlify(doc_id), 0)
        except binascii.Error:
            return None
        with self._database(READ_S) as database:
            document = database.conversations.find_one({"_id": key})
            if document is None:
                return None
            return document, line_bytes(database, document)

    def acknowledged(self) -> dict[str, int]:
        """Return the watermark of each buffer: all lines up to it are archived.

        Raises:
            Unreachable: MongoDB does not answer.
        """
        with self._database(ASK_S) as database:
            return acknowledged(database)

    def newest(
        self, buffer: str, above: int, upto: int, count: int, size: int
    ) -> tuple[list[Document], int]:
        """Read the newest lines of a span of a buffer.

        Args:
            buffer: The buffer.
            above: Sequence number before the span.
            upto: Last sequence number of the span.
            count: Maximum number of lines.
            size: Maximum number of their bytes.

        Returns:
            The lines in order, and the highest number that was left out, or 0.

        Raises:
            Unreachable: MongoDB does not answer.
        """
        span = {"$gt": above, "$lte": upto}
        asked = {"buffer": buffer, "seq": span, "kind": "line"}
        found: list[Document] = []
        with self._database(READ_S) as database:
            light = asked | {"source.len": {"$lte": LARGEST}}
            for one in database.conversations.find(light, _READ).sort("seq", -1):
                size -= one["source"]["len"]
                if len(found) == count or size < 0:
                    return found[::-1], int(one["seq"])
                found.append(one)
        return found[::-1], 0
