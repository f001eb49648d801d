"""The connection to MongoDB: write concern, collections, indexes."""

from typing import Any

from pymongo import ASCENDING, IndexModel, MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

CONVERSATIONS = "conversations"
NAMESPACE_EXISTS = 48
# Extraction needs this index, even while a backlog is being delivered.
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
        named = uri.lower()
        options: dict[str, Any] = {
            name: value for name, value in TIMEOUTS.items() if name.lower() not in named
        }
        self.client: MongoClient[Any] = MongoClient(
            uri, tz_aware=True, appname="cclake-flusher", connect=False, **options
        )
        self._name = database
        self._database: Database[Any] | None = None

    @property
    def database(self) -> Database[Any]:
        """Return the database, with a write concern that survives a server crash.

        A replica set or a sharded cluster acknowledges by majority, a single server
        once its journal is on disk.

        Raises:
            PyMongoError: The server can't be reached.
        """
        if self._database is None:
            hello = self.client.admin.command("hello")
            many = "setName" in hello or hello.get("msg") == "isdbgrid"
            concern = WriteConcern(w="majority", j=True) if many else _JOURNALED
            self._database = self.client.get_database(self._name, write_concern=concern)
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
                storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}},
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


_JOURNALED = WriteConcern(w=1, j=True)
