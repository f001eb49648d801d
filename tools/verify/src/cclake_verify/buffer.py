"""Count the lines in the buffer of this machine, and compare them with the disk."""

import os
import sqlite3
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cclake_archive.checkpoints import Checkpoint
from cclake_common.sqlite import connect_readonly

from cclake_verify.disk import stat_file

COUNTED = """
select (select count(*) from queue), (select count(*) from dead_letters),
    (select total(value) from counters where name = 'lines_read'),
    (select total(value) from counters
    where name in ('delivered', 'duplicates', 'dead'))
"""
BODIES = """
select q.file, q.off, q.body, f.root, f.path
from {table} as q
join files as f on f.file = q.file and f.gen = q.gen and f.state = 'live'
where f.host = ? and f.root is not null
order by q.file, q.off
"""


@dataclass(slots=True)
class Pending:
    """Lines that MongoDB does not have yet.

    Attributes:
        queued: Number of lines that wait to be delivered.
        dead: Number of dead letters.
        dead_spans: Offset and length of the dead letters, by file key.
        faults: Sentences on what is wrong with the buffer.
    """

    queued: int = 0
    dead: int = 0
    dead_spans: dict[str, list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: list[str] = field(default_factory=list)

    def dead_between(self, file: str, low: int, high: int) -> int:
        """Return the number of a file's dead letters in a range of bytes."""
        spans = self.dead_spans.get(file, [])
        return sum(off < high and off + length > low for off, length in spans)


def read_buffer(path: Path, host: str, full: bool, grace: float) -> Pending | None:
    """Read a buffer without changing it; return None if there is none.

    Args:
        path: The buffer.
        host: Name of this machine, whose files are on its disk.
        full: Whether to compare waiting lines and dead letters with the disk.
        grace: Files that changed within this many seconds are not compared.
    """
    if not path.exists():
        return None
    found = Pending()
    try:
        with closing(connect_readonly(path)) as db:
            db.execute("begin")  # so that all queries see one state
            found.queued, found.dead, lines, done = db.execute(COUNTED).fetchone()
            if lines != done + found.queued:
                found.faults.append(
                    f"it has read {int(lines):,} lines, but accounts for"
                    f" {int(done) + found.queued:,}"
                )
            spans = db.execute("select file, off, len from dead_letters").fetchall()
            if full:
                found.faults += _find_damage(db)
                found.faults += _differences(db, host, grace)
    except sqlite3.Error as error:
        found.faults.append(f"cannot be read: {error}")
        return found
    for file, off, length in spans:
        found.dead_spans[file].append((off, length))
    return found


def _find_damage(db: sqlite3.Connection) -> list[str]:
    found = db.execute("pragma integrity_check(3)").fetchall()
    return [row[0] for row in found if row[0] != "ok"]


def _differences(db: sqlite3.Connection, host: str, grace: float) -> list[str]:
    """Return sentences on lines that differ from the bytes at their place on disk.

    Files that changed recently may differ, because the tailer has yet to read them.
    """
    wrong: dict[str, int] = defaultdict(int)
    for table in ("queue", "dead_letters"):
        for key, off, body, root, path in db.execute(
            BODIES.format(table=table), (host,)
        ):
            point = Checkpoint(key, host, root, path, 0, 0, "live")
            if not _is_on_disk(point.on_disk, off, body, grace):
                wrong[table] += 1
    words = {"queue": "waiting lines", "dead_letters": "dead letters"}
    return [
        f"{count:,} {words[table]} differ from the disk"
        for table, count in wrong.items()
    ]


def _is_on_disk(path: Path, off: int, body: bytes, grace: float) -> bool:
    seen = stat_file(path)
    if seen is None or time.time() - seen.touched_at <= grace:
        return True
    try:
        with path.open("rb") as file:
            return os.pread(file.fileno(), len(body), off) == body
    except OSError:
        return True
