"""The export before the last one, kept to be brought up to date in place.

Copying the last export would cost more with every month of history. So the
files that it replaced stay under another name, and become the next export once
nobody reads them any more.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cclake_publish.atomic import discard, replacing, sync

SQLITE_NAME = "conversations.db"
DUCKDB_NAME = "analytics.duckdb"
FICLONE = 0x40049409  # ioctl of Linux: btrfs, xfs and others share the blocks


@dataclass(frozen=True)
class Pair:
    """The two files of one export."""

    lite: Path
    duck: Path

    @property
    def both(self) -> tuple[Path, Path]:
        """The files."""
        return self.lite, self.duck


def current(folder: Path) -> Pair:
    """The export that readers open."""
    return Pair(folder / SQLITE_NAME, folder / DUCKDB_NAME)


def spare(folder: Path) -> Pair:
    """The export before it."""
    return Pair(folder / f".{SQLITE_NAME}.spare", folder / f".{DUCKDB_NAME}.spare")


@contextmanager
def next_export(folder: Path) -> Iterator[Pair]:
    """Two files to write; at the end they take the place of the current export.

    If the body fails, the current export stays as it was.
    """
    old = current(folder)
    with replacing(old.lite, keep) as lite, replacing(old.duck, keep) as duck:
        yield Pair(lite, duck)


def keep(path: Path) -> None:
    """Keep a file that is about to be replaced as the spare one."""
    kept = path.with_name(f".{path.name}.spare")
    discard(kept)
    with contextlib.suppress(OSError):  # no hard links here: no spare
        os.link(path, kept)


def take_base(folder: Path, into: Pair, layout: str) -> bool:
    """Put an export to start from into the files that are to be written.

    Args:
        folder: The folder of the exports.
        into: The files.
        layout: What `export_info` must say about the layout.

    Returns:
        Whether there was one: the spare one as it is, or a copy of the current.
    """
    old, new = spare(folder), current(folder)
    if _is_apart(old, new) and _is_whole(old, layout) and all(map(unread, old.both)):
        for source, target in zip(old.both, into.both, strict=True):
            source.replace(target)
        return True
    for path in old.both:
        discard(path)
    if _is_whole(new, layout):
        for source, target in zip(new.both, into.both, strict=True):
            copy_file(source, target)
        return True
    return False


def make_spare(folder: Path, layout: str) -> None:
    """Have a spare export for the next publication, which then copies nothing.

    Args:
        folder: The folder of the exports, with a current export.
        layout: What `export_info` must say about the layout.
    """
    old, new = spare(folder), current(folder)
    if _is_apart(old, new) and _is_whole(old, layout):
        return
    copies = [path.with_name(f"{path.name}.copy") for path in old.both]
    try:
        for source, copy in zip(new.both, copies, strict=True):
            copy_file(source, copy)
            sync(copy)
    except OSError:  # no room for two: the export is made all the same
        for copy in copies:
            discard(copy)
        return
    for copy, target in zip(copies, old.both, strict=True):
        copy.replace(target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; where the file system can share the blocks, nothing is written."""
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            shutil.copyfile(source, target)


def unread(path: Path) -> bool:
    """Whether no process has the file open; False where that cannot be told."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_apart(old: Pair, new: Pair) -> bool:
    """Whether no file is the current export under another name, as a kill leaves it."""
    pairs = zip(old.both, new.both, strict=True)
    return not any(a.exists() and b.exists() and a.samefile(b) for a, b in pairs)


def _is_whole(pair: Pair, layout: str) -> bool:
    """Whether the two files are of one export, with this layout."""
    if not all(path.exists() for path in pair.both):
        return False
    query = "select name, value from {} where name in ('export_id', 'layout')"
    address = f"{pair.lite.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as lite:
            told = dict(lite.execute(query.format("export_info")).fetchall())
        with duckdb.connect(str(pair.duck), read_only=True) as duck:
            same = dict(duck.execute(query.format("marts.export_info")).fetchall())
    except (sqlite3.Error, duckdb.Error):
        return False
    return told == same and told.get("layout") == layout
