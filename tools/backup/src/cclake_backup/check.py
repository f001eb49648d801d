"""Check that a backup is as it was saved."""

from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import Failure

from cclake_backup import bsonfile, folder
from cclake_backup.save import Advance


@dataclass(slots=True)
class Checked:
    """The extent of a backup.

    Attributes:
        parts: Number of parts that a load would read.
        documents: Number of documents in them.
        bytes: Their size on disk.
        saved_at: Start time of the newest one, ISO 8601.
    """

    parts: int = 0
    documents: int = 0
    bytes: int = 0
    saved_at: str = ""


def check(
    place: Path, advance: Advance = lambda _collection, _documents: None
) -> Checked:
    """Compare every file with its hash, and count the documents.

    Raises:
        Failure: A file is damaged or missing.
    """
    done = Checked()
    for part in folder.parts(place):
        done.parts += 1
        done.saved_at = part.manifest.saved_at
        for file in part.manifest.files:
            done.bytes += bsonfile.check_hash(part.path, file)
            if not file.path.endswith(bsonfile.DATA):
                continue
            path = part.path / file.path
            number = sum(1 for _ in bsonfile.documents(path))
            if number != file.documents:
                raise Failure(f"{path} has {number} documents, not {file.documents}")
            done.documents += number
            advance(file.collection, number)
    return done
