"""The connection to MongoDB: write concern, collections, indexes."""

from typing import Any

from cclake_archive.client import Document, connect, durable
from cclake_archive.lines import CONVERSATIONS
from pymongo import ASCENDING, IndexModel, MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

NAMESPACE_EXISTS = 48
# Extraction needs this index, even while a backlog is being delivered.
_ZSTD = {"wiredTiger": {"configString": "block_compressor=zstd"}}
LOG_INDEX = IndexModel([("buffer", ASCENDING), ("seq", ASCENDING)], name="buffer_seq")
# Finite time-outs, so that a hanging server counts as unavailable. The URI overrides
# them.
TIMEOUTS = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 3000,
    "socketTimeoutMS": 30000,
}

Documents = Collection[Any]


class Mongo:
    """One MongoDB database; connects at first use, and reconnects by itself."""

    def __init__(self, uri: str, database: str) -> None:
        self.client: MongoClient[Document] = connect(
            uri, "flusher", TIMEOUTS, tz_aware=True, connect=False
        )
        self._name = database
        self._database: Database[Any] | None = None

    @property
    def database(self) -> Database[Any]:
        """Return the database, with a write concern that survives a server crash.

        Raises:
            PyMongoError: The server can't be reached.
        """
        if self._database is None:
            self._database = durable(self.client, self._name)
        return self._database

    @property
    def conversations(self) -> Documents:
        """Return the collection of documents, one per line."""
        return self.database[CONVERSATIONS]

    def prepare(self) -> None:
        """Create the collection and the index of extraction if they are missing."""
        try:
            self.database.create_collection(
                CONVERSATIONS,
                storageEngine=_ZSTD,
                # The text index shrinks to a third.
                indexOptionDefaults={"storageEngine": _ZSTD},
            )
        except CollectionInvalid:
            pass
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                # A server with another storage engine refuses that option.
                self.database.create_collection(CONVERSATIONS, check_exists=False)
        self.conversations.create_indexes([LOG_INDEX])

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
