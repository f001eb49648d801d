"""Build the indexes for people who query MongoDB, once a backlog is delivered."""

import threading

from cclake_archive.client import connect
from cclake_archive.lines import CONVERSATIONS
from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel
from pymongo.errors import PyMongoError

from cclake_flusher.error_policy import describe

INDEXES = [
    IndexModel(
        [("projectId", ASCENDING), ("timestamp", DESCENDING)], name="project_time"
    ),
    IndexModel(
        [("sessionId", ASCENDING), ("timestamp", ASCENDING)], name="session_time"
    ),
    IndexModel([("ingestedAt", DESCENDING)], name="ingested"),
    # No stemming, because texts are in any language. A field `language` in a log line
    # must not choose one either.
    IndexModel(
        [("text", TEXT)],
        name="words",
        default_language="none",
        language_override="cclake_language",
    ),
]


class ReaderIndexes:
    """Build the indexes once, in a thread, while delivery continues.

    Building them over existing documents takes a tenth of the time of updating them
    line by line. The thread has a client of its own, because a build may take longer
    than the time-outs of delivery allow.
    """

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._database = database
        self._thread: threading.Thread | None = None
        self.built = False
        self.problem = ""

    def build(self) -> None:
        """Start to build the indexes, unless they are built or being built."""
        if self.built or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._build, daemon=True)
        self._thread.start()

    def _build(self) -> None:
        try:
            with connect(self._uri, "indexes", socketTimeoutMS=None) as client:
                client[self._database][CONVERSATIONS].create_indexes(INDEXES)
        except PyMongoError as error:
            self.problem = describe(error)
        else:
            self.built, self.problem = True, ""
