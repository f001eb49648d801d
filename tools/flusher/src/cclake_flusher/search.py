"""The indexes for people who read in MongoDB, built when a backlog is in."""

import threading
from typing import Any

from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel, MongoClient
from pymongo.errors import PyMongoError

from cclake_flusher.mongo import CONVERSATIONS
from cclake_flusher.verdict import describe

INDEXES = [
    IndexModel(
        [("projectId", ASCENDING), ("timestamp", DESCENDING)], name="project_time"
    ),
    IndexModel(
        [("sessionId", ASCENDING), ("timestamp", ASCENDING)], name="session_time"
    ),
    IndexModel([("ingestedAt", DESCENDING)], name="ingested"),
    # No stemming: the words are of any language, and of none. `language` in a log
    # line must not choose one either.
    IndexModel(
        [("text", TEXT)],
        name="words",
        default_language="none",
        language_override="cclake_language",
    ),
]


class ReaderIndexes:
    """Builds the indexes once, from a thread: delivery goes on meanwhile.

    Built over what is there they cost a tenth of what they would cost line by
    line. The thread has a client of its own, since a build may take longer than
    any answer that the delivery waits for.
    """

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database
        self._thread: threading.Thread | None = None
        self.built = False
        self.problem = ""

    def build(self) -> None:
        """Begin to build, unless they are built or being built."""
        if self.built or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._build, daemon=True)
        self._thread.start()

    def _build(self) -> None:
        try:
            client: MongoClient[Any] = MongoClient(self._uri, socketTimeoutMS=None)
            with client:
                client[self._database][CONVERSATIONS].create_indexes(INDEXES)
        except PyMongoError as error:
            self.problem = describe(error)
        else:
            self.built, self.problem = True, ""
