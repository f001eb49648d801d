"""Connect to MongoDB, and order its collections."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document, durable, open_database
from cclake_archive.lines import CONVERSATIONS
from cclake_archive.watermarks import WATERMARKS
from pymongo import ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database

GRIDFS_FILES, GRIDFS_CHUNKS = "raw.files", "raw.chunks"
# Each load is recorded here, because it inserts lines below saved watermarks.
LOADS = "backup_loads"
# Collections that only grow: an incremental part has only their new documents.
GROWING = (CONVERSATIONS, GRIDFS_FILES, GRIDFS_CHUNKS)


@contextlib.contextmanager
def connected(uri: str, name: str) -> Iterator[Database[Document]]:
    """Open a database whose writes survive a server crash.

    Reads go to the primary only, because a secondary may lag behind a watermark that
    was read from another one.

    Raises:
        Failure: MongoDB does not answer, now or later.
    """
    with open_database(uri, name, "backup") as db:
        safe = durable(db.client, name)
        yield safe.with_options(read_preference=ReadPreference.PRIMARY)


def in_batches(
    collection: Collection[Document], wanted: Mapping[str, Any] | None = None
) -> Iterable[bytes]:
    """Return the documents of a collection in batches of some megabytes, as bytes."""
    return cast("Iterable[bytes]", collection.find_raw_batches(wanted))


def save_order(names: Iterable[str]) -> list[str]:
    """Return collections in the order in which they are saved.

    Ingestion continues during a save, so watermarks and checkpoints come before the
    lines, and lines before the GridFS bytes of long lines. MongoDB has a line before
    its checkpoint, and a checkpoint before its watermark. So a backup contains every
    line that its watermarks and checkpoints cover. A load uses the reverse order.
    """
    return sorted(names, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    known = (WATERMARKS, FILES, "", *GROWING)
    return known.index(name) if name in known else known.index("")
