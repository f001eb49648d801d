"""Loading: from the parts of a backup into MongoDB.

The newest part comes first, since what is there stays: of a line that changed between
two parts, its newest state. What claims lines comes last, so that a load that was
interrupted claims nothing that is not there; it can be run again at any time.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain as joined
from pathlib import Path

from bson import ObjectId
from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document
from cclake_archive.lines import CONVERSATIONS
from cclake_archive.watermarks import WATERMARKS
from pymongo.database import Database

from cclake_backup import bsonfile, folder
from cclake_backup.description import Description
from cclake_backup.folder import Part
from cclake_backup.lineage import compare
from cclake_backup.merge import Lines, insert, merge_files, merge_watermarks
from cclake_backup.mongo import (
    GROWING,
    LOADS,
    connected,
    in_order,
)
from cclake_backup.save import Tell

BATCH_DOCUMENTS, BATCH_BYTES = 1000, 16 << 20


@dataclass(slots=True)
class Loaded:
    """What became of the documents of each collection.

    Attributes:
        inserted: Documents that were not there.
        present: Documents that were there already; a line that several parts hold
            counts for each.
        changed: Of the latter, those that the backup knew further.
    """

    inserted: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    changed: int = 0


def load(
    uri: str,
    database: str,
    place: Path,
    tell: Tell = lambda _collection, _documents: None,
) -> Loaded:
    """Bring a backup into a database; what is there stays.

    Args:
        uri: Address of MongoDB.
        database: Name of the database.
        place: The folder of the backup.
        tell: Told of documents as they are done.

    Raises:
        Failure: A file is damaged (then nothing was written), MongoDB does not
            answer, or what it holds contradicts the backup.
    """
    parts = folder.parts(place)
    for part in parts:
        for file in part.manifest.files:
            bsonfile.verify(part.path, file)
    with connected(uri, database) as db:
        acked = compare(db, parts[-1])
        mark = ObjectId()
        db[LOADS].insert_one({"_id": mark, "at": datetime.now(UTC)})
        done = _Load(db, parts, Lines(db, acked), tell).run()
        if not done.changed and not any(done.inserted[name] for name in GROWING):
            db[LOADS].delete_one({"_id": mark})
        return done


@dataclass(frozen=True)
class _Load:
    db: Database[Document]
    parts: list[Part]
    lines: Lines
    tell: Tell
    done: Loaded = field(default_factory=Loaded)

    def run(self) -> Loaded:
        """Load every collection."""
        names = {
            file.collection for part in self.parts for file in part.manifest.files
        } - {LOADS}
        for name in reversed(in_order(names)):
            self._collection(name)
        return self.done

    def _collection(self, name: str) -> None:
        # What can shrink is as the newest part has it.
        parts = self.parts if name in GROWING else self.parts[-1:]
        holding = [part for part in reversed(parts) if part.manifest.data(name)]
        if not holding:
            return
        description = self._description(holding[0], name)
        description.create(self.db)
        if name != CONVERSATIONS:
            description.create_indexes(self.db)
        for batch in batches(joined.from_iterable(map(_reader(name), holding))):
            self._batch(name, batch)
        if name == CONVERSATIONS:
            # Over what is there they cost a tenth of what they cost line by line.
            description.create_indexes(self.db)

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
        self.tell(name, len(batch))

    def _description(self, part: Part, name: str) -> Description:
        database = part.manifest.database
        return Description(
            part.path / bsonfile.name_of(database, name, bsonfile.DESCRIPTION)
        )


def batches(documents: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Documents in lists that are neither long nor big."""
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
