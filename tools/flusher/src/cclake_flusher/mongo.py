"""The connection to MongoDB: write concern, collections, indexes."""

from typing import Any

from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel, MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

CONVERSATIONS = "conversations"
NAMESPACE_EXISTS = 48
INDEXES = [
    IndexModel(
        [("projectId", ASCENDING), ("timestamp", DESCENDING)], name="project_time"
    ),
    IndexModel(
        [("sessionId", ASCENDING), ("timestamp", ASCENDING)], name="session_time"
    ),
    IndexModel([("ingestedAt", DESCENDING)], name="ingested"),
    IndexModel([("buffer", ASCENDING), ("seq", ASCENDING)], name="buffer_seq"),
]
# No stemming: the words are of any language, and of none. `language` in a log
# line must not choose one either.
TEXT_INDEX = IndexModel(
    [("text", TEXT)],
    name="words",
    default_language="none",
    language_override="cclake_language",
)
# Waits that end: a server that hangs is as good as none. The URI may say otherwise.
TIMEOUTS = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 5000,
    "socketTimeoutMS": 30000,
}

Documents = Collection[Any]


class Mongo:
    """One MongoDB database; connects at its first use, and again by itself."""

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
        """The database with a write concern that survives a crash of the server.

        A replica set, or a sharded cluster, acknowledges by its majority; a
        single server when its journal is on the disk.

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
        """The collection of documents, one per line."""
        return self.database[CONVERSATIONS]

    def prepare(self) -> None:
        """Make the collection and its indexes, where they are missing."""
        try:
            self.database.create_collection(
                CONVERSATIONS,
                storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}},
            )
        except CollectionInvalid:
            pass
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                # A server with another storage engine makes its own collection.
                self.database.create_collection(CONVERSATIONS, check_exists=False)
        self.conversations.create_indexes(INDEXES)

    def prepare_search(self) -> None:
        """Make the text index; over a backlog that is cheaper once, at its end."""
        self.conversations.create_indexes([TEXT_INDEX])

    def is_up(self) -> bool:
        """Whether a ping succeeds now."""
        self.client.admin.command("ping")
        return True

    def close(self) -> None:
        """Close all connections."""
        self.client.close()


_JOURNALED = WriteConcern(w=1, j=True)
