"""Find files that are not archived, or whose lines can't be parsed."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from cclake_common.sqlite import connect_readonly
from cclake_common.visible import visible

ENCODED = """
select root, path, checkpoint from files
where state = 'live' and checkpoint like '%"encoding":"%'
order by root, path
"""


def sentences(roots: Iterable[Path], buffer: Path) -> list[str]:
    """Return a sentence for each such file that looks like a log.

    Args:
        roots: The folders with logs.
        buffer: Path of the buffer, whose checkpoints contain encodings.
    """
    said = [
        f"Not archived ({why}): {visible(str(path))}"
        for root in roots
        for path, why in _left_out(root)
    ]
    return said + [
        f"Archived, but not counted ({encoding}): {visible(path)}"
        for path, encoding in _encoded(buffer)
    ]


def _left_out(root: Path) -> Iterator[tuple[Path, str]]:
    seen: set[tuple[int, int]] = set()
    for folder, names, files in os.walk(root, followlinks=True):
        try:
            status = Path(folder).stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            names.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in sorted(files):
            path = Path(folder, name)
            if ".jsonl." in name and "tool-results" not in path.parts:
                yield path, "compressed or renamed"
            elif not path.exists() and path.is_symlink():
                yield path, "a dangling link"
            elif name.endswith(".jsonl") and not path.is_file():
                yield path, "not a regular file"
    history = root.parent / "history.jsonl"
    if history.is_symlink() and not history.exists():
        yield history, "a dangling link"


def _encoded(buffer: Path) -> list[tuple[str, str]]:
    if not buffer.exists():
        return []
    try:
        with closing(connect_readonly(buffer)) as db:
            found = db.execute(ENCODED).fetchall()
    except sqlite3.DatabaseError:
        return []
    return [
        (f"{root}/{path}", str(json.loads(checkpoint).get("encoding")))
        for root, path, checkpoint in found
    ]
