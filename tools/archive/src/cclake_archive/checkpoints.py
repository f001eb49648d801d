"""Read how far each file is archived."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo.database import Database

from cclake_archive.client import Document

FILES = "files"
HISTORY = "../history.jsonl"
"""Path of the prompt history, which lies beside the root."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The archived part of a file.

    Attributes:
        key: Its key, in hex.
        host: Name of its machine.
        root: The folder that its path is relative to.
        path: Its path, which may lead anywhere.
        gen: Newest generation of its content.
        off: All bytes before this offset are archived.
        state: `live` or `gone`.
        at: When the checkpoint was written.
    """

    key: str
    host: str
    root: str
    path: str
    gen: int
    off: int
    state: str
    at: Any = field(default=None, compare=False)

    @classmethod
    def of(cls, document: Document) -> "Checkpoint":
        """Return the checkpoint of a document of `files`."""
        return cls(
            key=str(document["_id"]),
            host=str(document["host"]),
            root=str(document.get("root") or ""),
            path=str(document["path"]),
            gen=int(document["gen"]),
            off=int(document["off"]),
            state=str(document.get("state") or "live"),
            at=document.get("at"),
        )

    @property
    def on_disk(self) -> Path:
        """Return where the file is on its machine."""
        if self.path == HISTORY:
            return Path(self.root).parent / "history.jsonl"
        return Path(self.root, self.path)


def read_checkpoints(
    database: Database[Document], host: str | None = None
) -> Iterator[Checkpoint]:
    """Yield the checkpoints of one host, or of all, ordered by host and path."""
    wanted = {"host": host} if host else {}
    found = database[FILES].find(wanted, {"checkpoint": 0, "paths": 0})
    return map(Checkpoint.of, found.sort([("host", 1), ("path", 1)]))


def hosts(database: Database[Document]) -> list[str]:
    """Return the names of the machines that files were archived from."""
    return sorted(map(str, database[FILES].distinct("host")))
