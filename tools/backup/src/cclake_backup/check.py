"""Is a backup as it was saved?"""

from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import Failure

from cclake_backup import bsonfile, folder
from cclake_backup.save import Tell


@dataclass(slots=True)
class Checked:
    """What a load would read.

    Attributes:
        parts: Number of parts.
        documents: Documents in all of them.
        bytes: Their size on disk.
        saved_at: When the newest one was begun, ISO 8601.
    """

    parts: int = 0
    documents: int = 0
    bytes: int = 0
    saved_at: str = ""


def check(place: Path, tell: Tell = lambda _collection, _documents: None) -> Checked:
    """Compare every file with its hash, and count the documents.

    Raises:
        Failure: A file is damaged or missing.
    """
    done = Checked()
    for part in folder.parts(place):
        done.parts += 1
        done.saved_at = part.manifest.saved_at
        for file in part.manifest.files:
            done.bytes += bsonfile.verify(part.path, file)
            if not file.path.endswith(bsonfile.DATA):
                continue
            path = part.path / file.path
            number = sum(1 for _ in bsonfile.documents(path))
            if number != file.documents:
                raise Failure(f"{path} holds {number} documents, not {file.documents}")
            done.documents += number
            tell(file.collection, number)
    return done
