"""How far ingestion has come, read from the buffer while others write it."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cclake_common import settings

QUIET_SECONDS = 3.0
PATIENCE = 5


@dataclass(frozen=True)
class Progress:
    """A moment of ingestion: bytes read, lines waiting, lines in MongoDB."""

    read_bytes: int = 0
    read_lines: int = 0
    queued: int = 0
    delivered: int = 0
    files: int = 0
    ready: bool = False
    behind_bytes: int = 0

    @property
    def complete(self) -> bool:
        """Whether every complete line on disk has been acknowledged."""
        return self.ready and self.behind_bytes == 0 and self.queued == 0


def tree_bytes(roots: list[Path]) -> int:
    """Size of all log files below the roots, in bytes."""
    return sum(_sizes(roots))


def snapshot(buffer: Path) -> Progress:
    """The progress now; all zero where no buffer can be read."""
    if not buffer.exists():
        return Progress()
    uri = f"{buffer.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as db:
            return _progress(db)
    except sqlite3.DatabaseError:
        return Progress()


def follow(
    buffer: Path, check: Callable[[], None], pause: float = 0.1
) -> Iterator[Progress]:
    """Yield the progress until all is acknowledged or nothing moves any more.

    Args:
        buffer: Path of the buffer.
        check: Called after each `QUIET_SECONDS` without progress; it raises when a
            process has failed.
        pause: Seconds between two looks.
    """
    last, since, quiet = Progress(), time.monotonic(), 0
    while True:
        now = snapshot(buffer)
        yield now
        if now.complete:
            return
        if now != last:
            last, since, quiet = now, time.monotonic(), 0
        elif time.monotonic() - since > QUIET_SECONDS:
            check()
            since, quiet = time.monotonic(), quiet + 1
            if quiet >= PATIENCE and not now.queued:
                return
        time.sleep(pause)


def _progress(db: sqlite3.Connection) -> Progress:
    files, read = db.execute(
        "select count(*), coalesce(sum(off), 0) from files"
    ).fetchone()
    (queued,) = db.execute("select count(*) from queue").fetchone()
    counters = dict(db.execute("select name, value from counters").fetchall())
    row = db.execute("select value from meta where name = 'tailer_stats'").fetchone()
    stats = json.loads(row[0]) if row and row[0] else {}
    return Progress(
        read_bytes=read,
        read_lines=counters.get("lines_read", 0),
        queued=queued,
        delivered=counters.get("delivered", 0) + counters.get("duplicates", 0),
        files=files,
        ready=bool(stats),
        behind_bytes=stats.get("behind_bytes", 0),
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
    """Path of the buffer."""
    return settings.in_home("SQLITE_PATH", "buffer.db")
