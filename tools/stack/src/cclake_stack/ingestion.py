"""Read the progress of ingestion from the buffer."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cclake_common import settings
from cclake_common.sqlite import connect_readonly

POLL_SECONDS = 0.3
QUIET_SECONDS = 3.0
# The tailer sends stats at least every 30 s, however slow it is.
LIFELESS_SECONDS = 600.0
# Rows are added and deleted in order. To count them is to read all their text.
QUEUED = """
select coalesce(
    (select max(seq) from queue) - (select min(seq) from queue) + 1, 0
)
"""


@dataclass(frozen=True)
class Progress:
    """The progress of ingestion at one moment.

    Attributes:
        read_bytes: Number of bytes read.
        read_lines: Number of lines read.
        queued: Number of lines in the buffer.
        delivered: Number of lines in MongoDB.
        files: Number of files read.
        ready: Whether the tailer has scanned all files and reports what is unread.
        behind_bytes: Number of unread bytes, as the tailer last reported.
        refused: Number of files that can't be read.
        dead: Number of dead letters.
        paused: Why the buffer has paused reading: `cap`, `free`, or `no`.
        heard_at: When the tailer last sent stats.
    """

    read_bytes: int = 0
    read_lines: int = 0
    queued: int = 0
    delivered: int = 0
    files: int = 0
    ready: bool = False
    behind_bytes: int = 0
    refused: int = 0
    dead: int = 0
    paused: str = "no"
    heard_at: float = 0.0

    @property
    def complete(self) -> bool:
        """Return whether every complete line on disk has been acknowledged."""
        return self.ready and self.behind_bytes == 0 and self.queued == 0

    def waits_for(self) -> str:
        """Return in words what ingestion waits for."""
        if self.paused == "free":
            return "free disk space, because reading has paused"
        if not self.ready:
            return "the tailer, which is scanning the files"
        done = f"{self.delivered:,} of {self.delivered + self.queued:,} lines"
        if self.behind_bytes:
            left = f"{self.behind_bytes:,} bytes to read"
            return f"the tailer: {left}, {done} read are in MongoDB"
        return f"MongoDB: it has {done}"

    def missing(self) -> str:
        """Return in words what is not in MongoDB yet; empty if everything is."""
        found = [
            (self.behind_bytes, "bytes are not read yet"),
            (self.queued, "lines wait in the buffer"),
            (self.dead, "lines are dead letters"),
            (self.refused, "files can't be read"),
        ]
        parts = [f"{number:,} {what}" for number, what in found if number]
        if not self.ready:
            parts.insert(0, "files that the tailer has not scanned yet")
        return ", ".join(parts)


def tree_bytes(roots: list[Path]) -> int:
    """Return the size of all log files below the roots, in bytes."""
    return sum(_sizes(roots))


def snapshot(buffer: Path) -> Progress:
    """Return the progress now; all zero if there is no readable buffer."""
    if not buffer.exists():
        return Progress()
    try:
        with closing(connect_readonly(buffer)) as db:
            return _progress(db)
    except sqlite3.DatabaseError:
        return Progress()


def follow(
    buffer: Path,
    check: Callable[[Progress], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Yield the progress until everything is acknowledged.

    This waits as long as there is progress or new stats. It gives up after
    `LIFELESS_SECONDS` without either; the last progress is then not complete.

    Args:
        buffer: Path of the buffer.
        check: Called with the progress every `QUIET_SECONDS`; raises an error if a
            process has failed.
        sleep: Waits for a number of seconds.
        clock: Returns the time in seconds.
    """
    last, moved = snapshot(buffer), clock()
    checked = moved
    while True:
        yield last
        if last.complete or clock() - moved > LIFELESS_SECONDS:
            return
        if clock() - checked > QUIET_SECONDS:
            check(last)
            checked = clock()
        sleep(POLL_SECONDS)
        now = snapshot(buffer)
        if now != last:
            last, moved = now, clock()


def _progress(db: sqlite3.Connection) -> Progress:
    db.execute("begin")
    files, read = db.execute(
        "select count(*), coalesce(sum(off), 0) from files"
    ).fetchone()
    (queued,) = db.execute(QUEUED).fetchone()
    counters = dict(db.execute("select name, value from counters").fetchall())
    meta = dict(db.execute("select name, value from meta").fetchall())
    stats = json.loads(meta.get("tailer_stats") or "{}")
    return Progress(
        read_bytes=read,
        read_lines=counters.get("lines_read", 0),
        queued=queued,
        delivered=counters.get("delivered", 0) + counters.get("duplicates", 0),
        files=files,
        ready=bool(stats),
        behind_bytes=stats.get("behind_bytes", 0),
        refused=stats.get("files_refused", 0),
        dead=counters.get("dead", 0),
        paused=str(meta.get("paused") or "no"),
        heard_at=meta.get("tailer_stats_at") or 0.0,
    )


def _sizes(folders: list[Path]) -> Iterator[int]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                if name.endswith(".jsonl"):
                    try:
                        yield Path(parent, name).stat().st_size
                    except OSError:
                        continue


def buffer_path() -> Path:
    """Return the path of the buffer."""
    return settings.in_home("SQLITE_PATH", "buffer.db")
