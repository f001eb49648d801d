"""Write and read compressed, hashed files of BSON documents."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from cclake_common.failure import Failure
from cclake_common.sync import sync

from cclake_backup.manifest import Saved

DATA, METADATA = ".bson.gz", ".metadata.json.gz"
PIECE = 1 << 20


class Writer:
    """Write one file of a part, readable only by its owner.

    Equal documents give equal bytes, because the file contains no time and no name.
    """

    def __init__(self, part: Path, database: str, collection: str, kind: str) -> None:
        self._collection = collection
        self._name = name_of(database, collection, kind)
        path = part / self._name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=PIECE)
        self._zip = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self._hash = hashlib.sha256()
        self._size = 0
        self.documents = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._put(self._zip.compress(data))

    def finish(self) -> Saved:
        """Sync the file to disk; return its entry for the manifest."""
        self._put(self._zip.flush())
        self._file.flush()
        sync(self._file.fileno())
        return Saved(
            self._name,
            self._collection,
            self.documents,
            self._size,
            self._hash.hexdigest(),
        )

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        self._file.write(data)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError:
            if error is None:
                raise


def name_of(database: str, collection: str, kind: str) -> str:
    """Return the path of a file within its part."""
    return f"{database}/{quote(collection, safe='')}{kind}"


def count(batch: bytes) -> int:
    """Return the number of documents in a batch; each begins with its length."""
    number = at = 0
    while at < len(batch):
        at += int.from_bytes(batch[at : at + 4], "little")
        number += 1
    return number


def documents(path: Path) -> Iterator[bytes]:
    """Yield the documents of a file, each as its bytes.

    Raises:
        Failure: The file is damaged.
    """
    try:
        with gzip.open(path) as file:
            while head := file.read(4):
                size = int.from_bytes(head, "little")
                rest = file.read(size - 4) if size > 4 else b""
                if len(rest) != size - 4:
                    raise EOFError
                yield head + rest
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Failure(f"{path} is damaged") from error


def check_hash(part: Path, file: Saved) -> int:
    """Compare a file with its hash in the manifest; return its number of bytes.

    Raises:
        Failure: It is missing or damaged.
    """
    path = part / file.path
    found = hashlib.sha256()
    try:
        with path.open("rb") as opened:
            while piece := opened.read(PIECE):
                found.update(piece)
    except FileNotFoundError as error:
        raise Failure(f"{path} is missing") from error
    if found.hexdigest() != file.sha256:
        raise Failure(f"{path} is damaged: its bytes do not match the manifest")
    return file.bytes
