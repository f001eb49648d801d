"""The connection to MongoDB, and the collections that a backup knows by name."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import driver_words, mask, no_address
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError, PyMongoError

TIMEOUT_MS = 10_000
CONVERSATIONS, FILES, WATERMARKS = "conversations", "files", "watermarks"
BULKY_FILES, BULKY_CHUNKS = "raw.files", "raw.chunks"
# Each load leaves its mark here: it brings lines that no save has seen come.
LOADS = "backup_loads"
# Collections that only grow: a part of a backup holds what is new in them.
GROWING = (CONVERSATIONS, BULKY_FILES, BULKY_CHUNKS)

Document = dict[str, Any]


@contextlib.contextmanager
def connected(uri: str, name: str) -> Iterator[Database[Document]]:
    """A database whose writes survive a crash of the server.

    It is read from the primary alone: a secondary may lag behind the watermark that
    another one has given.

    Raises:
        Failure: MongoDB does not answer, or stops to.
    """
    named = "serverselectiontimeoutms" in uri.lower()
    waits: Document = {} if named else {"serverSelectionTimeoutMS": TIMEOUT_MS}
    try:
        client = MongoClient[Document](uri, appname="backup", **waits)
    except (ConfigurationError, ValueError, OSError) as error:
        raise no_address(uri, error) from error
    try:
        with client:
            hello = client.admin.command("hello")
            many = "setName" in hello or hello.get("msg") == "isdbgrid"
            concern = WriteConcern("majority" if many else 1, j=True)
            yield client.get_database(
                name, read_preference=ReadPreference.PRIMARY, write_concern=concern
            )
    except PyMongoError as error:
        raise Failure(
            f"MongoDB at {mask(uri)} does not answer: {driver_words(error)}",
            "Start it with `just up`, or set MONGO_URI.",
            TRY_LATER,
        ) from error


def in_batches(
    collection: Collection[Document], wanted: Mapping[str, Any] | None = None
) -> Iterable[bytes]:
    """The documents of a collection in batches of some megabytes, not decoded."""
    return cast("Iterable[bytes]", collection.find_raw_batches(wanted))


def in_order(names: Iterable[str]) -> list[str]:
    """Collections in the order in which they are saved.

    What claims something comes before what it claims, since ingestion goes on: the
    watermarks and checkpoints, then the lines, then the bytes of the longest lines.
    MongoDB has a line before its checkpoint and a checkpoint before its watermark,
    so whatever a backup claims is in it. A load goes the other way round.
    """
    return sorted(names, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    known = (WATERMARKS, FILES, "", *GROWING)
    return known.index(name) if name in known else known.index("")
