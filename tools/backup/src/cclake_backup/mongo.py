"""The connection to MongoDB, and the collections that a backup knows by name."""

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

BULKY_FILES, BULKY_CHUNKS = "raw.files", "raw.chunks"
# Each load leaves its mark here: it brings lines that no save has seen come.
LOADS = "backup_loads"
# Collections that only grow: a part of a backup holds what is new in them.
GROWING = (CONVERSATIONS, BULKY_FILES, BULKY_CHUNKS)


@contextlib.contextmanager
def connected(uri: str, name: str) -> Iterator[Database[Document]]:
    """A database whose writes survive a crash of the server.

    It is read from the primary alone: a secondary may lag behind the watermark that
    another one has given.

    Raises:
        Failure: MongoDB does not answer, or stops to.
    """
    with open_database(uri, name, "backup") as db:
        safe = durable(db.client, name)
        yield safe.with_options(read_preference=ReadPreference.PRIMARY)


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
