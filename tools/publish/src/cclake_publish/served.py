"""Manage the served SQLite export: a link to a file in WAL mode.

SQLite names the WAL and the shared memory of a file after it, so a new file must not
get the name of one that is in use. `conversations.db` is a symbolic link; a full
publication writes another file beside it and moves the link.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cclake_common.sqlite import connect_readonly
from cclake_common.sync import sync_path

from cclake_publish.atomic import discard

NAME = "conversations.db"
LOG_BYTES = 64 << 20  # maximum size of a WAL that readers keep from being emptied
# Files that killed runs or earlier versions left.
_LEFT = [
    f".{name}{end}"
    for name in (NAME, "analytics.duckdb")
    for end in (".new", ".link", ".spare", ".spare.copy")
]


def file_of(folder: Path) -> Path | None:
    """Return the served file, or None if there is none in this layout."""
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
    """Checkpoint the WAL into the file; return whether no reader prevented it."""
    try:
        with closing(sqlite3.connect(path, timeout=0.2)) as db:
            busy = db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
    except sqlite3.Error:
        return False
    return not busy


def is_stuck(path: Path) -> bool:
    """Return whether readers have kept the WAL until it grew too large."""
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size <= LOG_BYTES:
        return False
    empty_log(path)
    return log.exists() and log.stat().st_size > LOG_BYTES


@contextmanager
def next_file(folder: Path, export_id: str) -> Iterator[Path]:
    """Yield a file to write, and move the link to it at the end.

    If the body fails, the link is unchanged.
    """
    new = folder / f".{NAME}.new"
    discard(new)
    try:
        yield new
        new.chmod(0o600)  # whatever the umask
        sync_path(new)
        real = folder / f"conversations-{export_id[:12]}.db"
        new.replace(real)
        link = folder / f".{NAME}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(real.name)
        sync_path(folder)
        link.replace(folder / NAME)
        sync_path(folder)
    finally:
        discard(new)


def remove_former(folder: Path) -> None:
    """Delete formerly served files, and those of killed runs.

    Readers keep a deleted file until they close it. A file whose WAL a reader holds
    stays until a later publication, since a reader that opens it needs the WAL.
    """
    served = file_of(folder)
    for path in folder.glob("conversations-*.db"):
        # The folder may be a link, so resolve the names.
        if path.resolve() != served and (not _has_log(path) or empty_log(path)):
            discard(path)
    for path in folder.glob("conversations-*.db-*"):
        if not path.with_name(path.name.rpartition("-")[0]).exists():
            path.unlink(
                missing_ok=True
            )  # left by a run that was killed during the deletion
    for name in _LEFT:
        discard(folder / name)


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0
