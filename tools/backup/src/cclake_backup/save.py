"""Save the collections as a new part of a backup."""

import errno
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cclake_archive.checkpoints import FILES
from cclake_archive.client import Document
from cclake_archive.lines import CONVERSATIONS
from cclake_common.failure import Failure
from pymongo.database import Database

from cclake_backup import bsonfile, folder, kept, metadata
from cclake_backup.bsonfile import Writer
from cclake_backup.delta import Delta
from cclake_backup.folder import Part
from cclake_backup.manifest import Manifest, Saved
from cclake_backup.mongo import (
    GROWING,
    LOADS,
    connected,
    in_batches,
    save_order,
)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Advance = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """The database to save.

    Attributes:
        uri: Address of MongoDB.
        database: Name of the database.
        host: Name of this machine, for the manifest.
        kept: The file of stars, labels and notes.
    """

    uri: str
    database: str
    host: str
    kept: Path


def save(
    source: Source,
    place: Path,
    whole: bool = False,
    advance: Advance = lambda _collection, _documents: None,
) -> Part | None:
    """Save what is new since the last part of a backup, or everything.

    Args:
        source: The database to save.
        place: The folder of the backup.
        whole: Save everything, whatever the folder contains.
        advance: Called with a collection and the number of documents just saved.

    Returns:
        The new part; None if there is nothing new.

    Raises:
        Failure: MongoDB does not answer, the folder can't be written, or what the user
            keeps can't be read: the conversations are saved all the same.
    """
    unread: list[Failure] = []
    try:
        with (
            folder.writing(place) as before,
            connected(source.uri, source.database) as db,
        ):
            found = metadata.collections(db)
            if CONVERSATIONS not in found:
                raise Failure(f"the database {source.database} has no archive")
            with folder.draft(place) as path:
                save = _Save(source, db, path, found, advance, unread)
                made, part = save.run(before, whole), None
                if not (before and made.after and _same(made, before[-1].manifest)):
                    part = folder.publish(place, made)
    except OSError as error:
        hint = "Check the free space of the disk." if error.errno in DISK_FULL else ""
        raise Failure(f"cannot write into {place}: {error.strerror}", hint) from error
    for failure in unread:
        raise Failure(
            f"the conversations are saved, but not stars, labels and notes: {failure}",
            failure.hint,
        )
    return part


@dataclass(frozen=True)
class _Save:
    source: Source
    db: Database[Document]
    part: Path
    found: dict[str, Document]
    advance: Advance
    unread: list[Failure]

    def run(self, before: list[Part], whole: bool) -> Manifest:
        """Write all files of a part; return its manifest."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        archive = self.found[CONVERSATIONS]["info"]["uuid"].hex()
        loads = sorted(str(one["_id"]) for one in self.db[LOADS].find({}, {"_id": 1}))
        # After a load, or if the collection was recreated, the parts may lack lines
        # below the watermark of the last one.
        is_increment = not whole and bool(before)
        if is_increment:
            last = before[-1].manifest
            is_increment = (last.archive, last.loads) == (archive, loads)
        delta = Delta(self.db, before, self._files) if is_increment else None
        return Manifest(
            id=uuid.uuid4().hex,
            after=before[-1].manifest.id if is_increment else "",
            saved_at=now,
            host=self.source.host,
            database=self.source.database,
            archive=archive,
            loads=loads,
            files=[*self._all(delta), *self._kept()],
        )

    def _kept(self) -> list[Saved]:
        try:
            return kept.save(self.part, self.source.kept)
        except Failure as failure:
            self.unread.append(failure)
            return []

    def _all(self, delta: Delta | None) -> Iterator[Saved]:
        for name in save_order(self.found):
            with self._writer(name, bsonfile.METADATA) as file:
                file.write(metadata.text(self.db, self.found[name]))
                yield file.finish()
            with self._writer(name, bsonfile.DATA) as file:
                for cursor in self._cursors(name, delta):
                    for batch in cursor:
                        file.write(batch)
                        number = bsonfile.count(batch)
                        file.documents += number
                        self.advance(name, number)
                yield file.finish()

    def _cursors(self, name: str, delta: Delta | None) -> Iterable[Iterable[bytes]]:
        if delta and name in GROWING:
            return delta.batches(name)
        return [in_batches(self.db[name])]

    def _writer(self, name: str, kind: str) -> Writer:
        return Writer(self.part, self.source.database, name, kind)

    def _files(self) -> Path:
        return self.part / bsonfile.name_of(self.source.database, FILES, bsonfile.DATA)


def _same(made: Manifest, last: Manifest) -> bool:
    """Return whether a part has nothing that the last one does not have."""
    if any(file.documents for name in GROWING if (file := made.data(name))):
        return False
    return _others(made) == _others(last)


def _others(made: Manifest) -> set[Saved]:
    grown = {made.data(name) for name in GROWING}
    return {file for file in made.files if file not in grown}
