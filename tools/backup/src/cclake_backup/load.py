"""Load the parts of a backup into MongoDB.

Existing documents stay, so the newest part comes first: it has the newest state of a
line that changed between two parts. Checkpoints and watermarks come last, so that an
interrupted load never claims lines that are missing. It can be run again at any time.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain as joined
from pathlib import Path

from bson import ObjectId
from bson.int64 import Int64
from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document
from cclake_archive.lines import CONVERSATIONS
from cclake_archive.watermarks import WATERMARKS
from cclake_common.kept import Store, file_named
from pymongo.database import Database

from cclake_backup import bsonfile, folder
from cclake_backup.compatibility import compare
from cclake_backup.folder import Part
from cclake_backup.kept import read as read_kept
from cclake_backup.merge import Lines, insert, merge_files, merge_watermarks
from cclake_backup.metadata import Metadata
from cclake_backup.mongo import (
    GROWING,
    LOADS,
    connected,
    save_order,
)
from cclake_backup.save import Advance

BATCH_DOCUMENTS, BATCH_BYTES = 1000, 16 << 20


@dataclass(slots=True)
class Loaded:
    """The outcome for the documents of each collection.

    Attributes:
        inserted: Number of documents that were inserted.
        present: Number of documents that existed already; a line in several parts
            counts once for each.
        changed: Number of the latter that were updated from the backup.
        kept: Number of stars, labels and notes that were added or updated.
    """

    inserted: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    kept: int = 0


def load(
    uri: str,
    database: str,
    place: Path,
    kept: Path,
    advance: Advance = lambda _collection, _documents: None,
) -> Loaded:
    """Load a backup into a database; existing documents stay.

    Args:
        uri: Address of MongoDB.
        database: Name of the database.
        place: The folder of the backup.
        kept: The file of stars, labels and notes.
        advance: Called with a collection and the number of documents just loaded.

    Raises:
        Failure: A file is damaged (then nothing was written), MongoDB does not
            answer, or its content contradicts the backup.
    """
    parts = folder.parts(place)
    for part in parts:
        for file in part.manifest.files:
            bsonfile.check_hash(part.path, file)
    rows = read_kept(parts)
    with connected(uri, database) as db:
        acked = compare(db, parts[-1])
        mark = ObjectId()
        db[LOADS].insert_one({"_id": mark, "at": datetime.now(UTC)})
        done = _Load(db, parts, Lines(db, acked), advance).run()
        if not done.changed and not any(done.inserted[name] for name in GROWING):
            db[LOADS].delete_one({"_id": mark})
        done.kept = sum(
            Store(file_named(name, kept)).merge(some) for name, some in rows.items()
        )
        return done


@dataclass(frozen=True)
class _Load:
    db: Database[Document]
    parts: list[Part]
    lines: Lines
    advance: Advance
    done: Loaded = field(default_factory=Loaded)

    def run(self) -> Loaded:
        """Load every collection."""
        names = {
            file.collection for part in self.parts for file in part.manifest.files
        } - {LOADS, ""}
        for name in reversed(save_order(names)):
            self._collection(name)
        if self.done.inserted[CONVERSATIONS]:
            # A part may have been saved before the flusher gave its lines their `text`.
            has_text = {"text_seq": {"$gt": 0}}
            self.db[WATERMARKS].update_many(has_text, {"$set": {"text_seq": Int64(0)}})
        return self.done

    def _collection(self, name: str) -> None:
        # Collections that can shrink are loaded from the newest part only.
        parts = self.parts if name in GROWING else self.parts[-1:]
        holding = [part for part in reversed(parts) if part.manifest.data(name)]
        if not holding:
            return
        metadata = self._metadata(holding[0], name)
        metadata.create(self.db)
        if name != CONVERSATIONS:
            metadata.create_indexes(self.db)
        for batch in batches(joined.from_iterable(map(_reader(name), holding))):
            self._batch(name, batch)
        if name == CONVERSATIONS:
            # Building them at the end takes a tenth of the time of updating them.
            metadata.create_indexes(self.db)

    def _batch(self, name: str, batch: list[bytes]) -> None:
        there = insert(self.db[name], batch)
        self.done.inserted[name] += len(batch) - len(there)
        self.done.present[name] += len(there)
        if name == CONVERSATIONS:
            self.done.changed += self.lines.refresh(there)
        elif name == FILES:
            self.done.changed += merge_files(self.db, there)
        elif name == WATERMARKS:
            self.done.changed += merge_watermarks(self.db, there)
        self.advance(name, len(batch))

    def _metadata(self, part: Part, name: str) -> Metadata:
        database = part.manifest.database
        return Metadata(part.path / bsonfile.name_of(database, name, bsonfile.METADATA))


def batches(documents: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield documents in lists of limited number and size."""
    batch: list[bytes] = []
    size = 0
    for one in documents:
        if batch and (len(batch) == BATCH_DOCUMENTS or size + len(one) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one)
    if batch:
        yield batch


def _reader(name: str) -> Callable[[Part], Iterator[bytes]]:
    def read(part: Part) -> Iterator[bytes]:
        file = part.manifest.data(name)
        return bsonfile.documents(part.path / file.path) if file else iter(())

    return read
