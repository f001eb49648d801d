"""The manifest of a part of a backup, `cclake-backup.json`."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cclake_common.failure import Failure

NAME = "cclake-backup.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Saved:
    """One file of a part.

    Attributes:
        path: Relative to the part.
        collection: The collection that it belongs to.
        documents: Number of documents in it; 0 for metadata.
        bytes: Its size on disk.
        sha256: Hash of its bytes on disk, hex.
    """

    path: str
    collection: str
    documents: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A part of a backup.

    Attributes:
        id: Random id of the part, 32 hex digits.
        after: The id of the part that this one continues; empty for a full part.
        saved_at: Start time of the save, ISO 8601.
        host: The machine that saved it.
        database: Name of the database.
        archive: Identity of the collection `conversations`, hex.
        loads: Ids of the loads from backups into the database.
        files: All files.
    """

    id: str
    after: str
    saved_at: str
    host: str
    database: str
    archive: str
    loads: list[str]
    files: list[Saved]

    @property
    def documents(self) -> int:
        """Return the number of documents in the part."""
        return sum(file.documents for file in self.files)

    @property
    def bytes(self) -> int:
        """Return the size on disk, without this manifest."""
        return sum(file.bytes for file in self.files)

    def data(self, collection: str) -> Saved | None:
        """Return the file with the documents of a collection."""
        for file in self.files:
            if file.collection == collection and file.path.endswith(".bson.gz"):
                return file
        return None

    def text(self) -> str:
        """Return the manifest as JSON."""
        made = {"version": VERSION, **asdict(self)}
        return json.dumps({**made, "sha256": _hash(made)}, indent=1) + "\n"


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        Failure: It is missing, damaged, or of a newer version.
    """
    try:
        made = json.loads(path.read_bytes())
        if made.pop("sha256") != _hash(made):
            raise Failure(f"{path} is damaged")
        if made.pop("version") != VERSION:
            raise Failure(f"{path} was written by another version of backup")
        files = [Saved(**file) for file in made.pop("files")]
        return Manifest(files=files, **made)
    except FileNotFoundError as error:
        raise Failure(f"{path} is missing") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Failure(f"{path} is damaged") from error


def _hash(made: dict[str, object]) -> str:
    """Return the hash of a manifest's content, hex."""
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
