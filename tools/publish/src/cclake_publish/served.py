"""The SQLite export as readers find it: a name that leads to a file in WAL mode.

SQLite names the log and the shared memory of a file after the file, so a new one must
never take the very name of one that is read. `conversations.db` is a symbolic link; a
full publication writes another file beside and moves the link.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cclake_common.sqlite import connect_readonly

from cclake_publish.atomic import discard, sync

NAME = "conversations.db"
LOG_BYTES = 64 << 20  # of a log that readers keep from being emptied
# What runs that were killed have left, and what earlier versions kept.
_LEFT = [
    f".{name}{end}"
    for name in (NAME, "analytics.duckdb")
    for end in (".new", ".link", ".spare", ".spare.copy")
]


def file_of(folder: Path) -> Path | None:
    """Return the file that is served; None if there is none in this layout."""
    name = folder / NAME
    return name.resolve() if name.is_symlink() and name.exists() else None


def facts(path: Path) -> dict[str, str]:
    """Return the rows of `export_info`; empty if the file cannot be read."""
    try:
        with closing(connect_readonly(path)) as db:
            return dict(db.execute("select name, value from export_info").fetchall())
    except sqlite3.Error:
        return {}


def sessions(path: Path) -> list[str]:
    """Return the ids of the sessions in an export."""
    with closing(connect_readonly(path)) as db:
        rows = db.execute("select session_id from dim_sessions").fetchall()
    return [one for (one,) in rows if one is not None]


def empty_log(path: Path) -> bool:
    """Bring the log into the file; return whether no reader kept it from that."""
    try:
        with closing(sqlite3.connect(path, timeout=0.2)) as db:
            busy = db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
    except sqlite3.Error:
        return False
    return not busy


def is_stuck(path: Path) -> bool:
    """Return whether readers have kept the log until it grew too large."""
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size <= LOG_BYTES:
        return False
    empty_log(path)
    return log.exists() and log.stat().st_size > LOG_BYTES


@contextmanager
def next_file(folder: Path, export_id: str) -> Iterator[Path]:
    """Give a file to write; at the end the name leads to it.

    If the body fails, the name leads to where it did.
    """
    new = folder / f".{NAME}.new"
    discard(new)
    try:
        yield new
        new.chmod(0o600)  # whatever the umask
        sync(new)
        real = folder / f"conversations-{export_id[:12]}.db"
        new.replace(real)
        link = folder / f".{NAME}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(real.name)
        sync(folder)
        link.replace(folder / NAME)
        sync(folder)
    finally:
        discard(new)


def remove_former(folder: Path) -> None:
    """Remove the files that were served before, and what dead runs left.

    Who reads one keeps it until it is closed. One whose log a reader holds stays until
    a later publication: opened now, it would lack what stands in the log.
    """
    served = file_of(folder)
    for path in folder.glob("conversations-*.db"):
        # The folder may be reached through a link, so that names differ.
        if path.resolve() != served and (not _has_log(path) or empty_log(path)):
            discard(path)
    for path in folder.glob("conversations-*.db-*"):
        if not path.with_name(path.name.rpartition("-")[0]).exists():
            path.unlink(missing_ok=True)  # of a run that was killed while it removed
    for name in _LEFT:
        discard(folder / name)


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0
