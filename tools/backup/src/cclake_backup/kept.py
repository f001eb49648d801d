"""Save and load stars, labels and notes: `kept.jsonl.gz` in each part."""

import gzip
import hashlib
import json
import os
import zlib
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.kept import Kept, Store, files, from_record
from cclake_common.sync import sync

from cclake_backup.folder import Part
from cclake_backup.manifest import Saved

NAME = "kept.jsonl.gz"


def save(part: Path, kept: Path) -> list[Saved]:
    """Write all of them into a part; return its entries for the manifest.

    Equal rows give equal bytes, so that a part is made only if something changed.
    """
    rows = [
        one.record() | ({"file": name} if name else {})
        for name, path in files(kept).items()
        for one in Store(path).rows()
    ]
    if not rows:
        return []
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data = gzip.compress(text.encode("utf-8", "surrogatepass"), mtime=0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(part / NAME, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        sync(file.fileno())
    return [Saved(NAME, "", 0, len(data), hashlib.sha256(data).hexdigest())]


def read(parts: list[Part]) -> dict[str, list[Kept]]:
    """Return what the parts hold by the name of its file, the oldest part first.

    Raises:
        Failure: A file is damaged.
    """
    found: dict[str, list[Kept]] = {}
    for part in parts:
        if any(file.path == NAME for file in part.manifest.files):
            path = part.path / NAME
            try:
                # Notes may contain the other characters that `splitlines` splits at.
                lines = gzip.decompress(path.read_bytes()).decode().split("\n")
                for record in (json.loads(line) for line in lines if line):
                    rows = found.setdefault(str(record.get("file", "")), [])
                    rows.append(from_record(record))
            except (
                OSError, EOFError, ValueError, AttributeError, zlib.error,
            ) as error:  # fmt: skip
                raise Failure(f"{path} is damaged") from error
    return found
