"""Saving: from the collections to a new part of the backup."""

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

from cclake_backup import bsonfile, description, folder
from cclake_backup.bsonfile import Writer
from cclake_backup.folder import Part
from cclake_backup.manifest import Manifest, Saved
from cclake_backup.mongo import (
    GROWING,
    LOADS,
    connected,
    in_batches,
    in_order,
)
from cclake_backup.news import News

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Tell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What is saved.

    Attributes:
        uri: Address of MongoDB.
        database: Name of the database.
        host: Name of this machine, for the manifest.
    """

    uri: str
    database: str
    host: str


def save(
    source: Source,
    place: Path,
    whole: bool = False,
    tell: Tell = lambda _collection, _documents: None,
) -> Part | None:
    """Save what is new since the last part of a backup, or everything.

    Args:
        source: What is saved.
        place: The folder of the backup.
        whole: Save everything, whatever the folder holds.
        tell: Told of documents as they are written.

    Returns:
        The new part; None when there is nothing new.

    Raises:
        Failure: MongoDB does not answer, or the folder cannot be written.
    """
    try:
        with (
            folder.writing(place) as before,
            connected(source.uri, source.database) as db,
        ):
            found = description.collections(db)
            if CONVERSATIONS not in found:
                raise Failure(f"the database {source.database} holds no archive")
            with folder.draft(place) as path:
                made = _Save(source, db, path, found, tell).run(before, whole)
                if before and made.after and _same(made, before[-1].manifest):
                    return None
                return folder.publish(place, made)
    except OSError as error:
        hint = "Is there room on the disk?" if error.errno in NO_ROOM else ""
        raise Failure(f"cannot write into {place}: {error.strerror}", hint) from error


@dataclass(frozen=True)
class _Save:
    source: Source
    db: Database[Document]
    part: Path
    found: dict[str, Document]
    tell: Tell

    def run(self, before: list[Part], whole: bool) -> Manifest:
        """Write all files of a part; gives its manifest."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        archive = self.found[CONVERSATIONS]["info"]["uuid"].hex()
        loads = sorted(str(one["_id"]) for one in self.db[LOADS].find({}, {"_id": 1}))
        # In a collection made anew, or after a load, lines may be missing in the
        # parts that lie below the watermark of the last one.
        goes_on = not whole and bool(before)
        if goes_on:
            last = before[-1].manifest
            goes_on = (last.archive, last.loads) == (archive, loads)
        news = News(self.db, before, self._files) if goes_on else None
        return Manifest(
            id=uuid.uuid4().hex,
            after=before[-1].manifest.id if goes_on else "",
            saved_at=now,
            host=self.source.host,
            database=self.source.database,
            archive=archive,
            loads=loads,
            files=list(self._all(news)),
        )

    def _all(self, news: News | None) -> Iterator[Saved]:
        for name in in_order(self.found):
            with self._writer(name, bsonfile.DESCRIPTION) as file:
                file.write(description.text(self.db, self.found[name]))
                yield file.finish()
            with self._writer(name, bsonfile.DATA) as file:
                for cursor in self._cursors(name, news):
                    for batch in cursor:
                        file.write(batch)
                        number = bsonfile.count(batch)
                        file.documents += number
                        self.tell(name, number)
                yield file.finish()

    def _cursors(self, name: str, news: News | None) -> Iterable[Iterable[bytes]]:
        if news and name in GROWING:
            return news.batches(name)
        return [in_batches(self.db[name])]

    def _writer(self, name: str, kind: str) -> Writer:
        return Writer(self.part, self.source.database, name, kind)

    def _files(self) -> Path:
        return self.part / bsonfile.name_of(self.source.database, FILES, bsonfile.DATA)


def _same(made: Manifest, last: Manifest) -> bool:
    """Whether a part says nothing that the last one does not say."""
    if any(file.documents for name in GROWING if (file := made.data(name))):
        return False
    return _others(made) == _others(last)


def _others(made: Manifest) -> set[Saved]:
    grown = {made.data(name) for name in GROWING}
    return {file for file in made.files if file not in grown}
