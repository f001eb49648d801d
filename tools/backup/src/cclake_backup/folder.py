"""The folder of a backup: numbered parts, each written completely or not at all."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.lock import exclusive
from cclake_common.sync import sync, sync_path

from cclake_backup import manifest
from cclake_backup.manifest import Manifest

DRAFT = ".unfinished"
LOCK = ".lock"
NUMBER = re.compile(r"\d{4,}")


@dataclass(frozen=True, slots=True)
class Part:
    """One part on disk: a folder like mongodump's, and its manifest."""

    path: Path
    manifest: Manifest


def parts(folder: Path) -> list[Part]:
    """Return the last full part and the parts after it, oldest first.

    Raises:
        Failure: The folder is not a backup, or a part is missing or damaged.
    """
    found = [Part(path, manifest.read(path / manifest.NAME)) for path in _paths(folder)]
    if not found:
        raise Failure(f"{folder} is not a backup", "Create one with `backup save`.")
    chain = [found.pop()]
    while after := chain[0].manifest.after:
        before = found.pop() if found else None
        if before is None or before.manifest.id != after:
            raise Failure(f"the part before {chain[0].path} is missing")
        chain.insert(0, before)
    return chain


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[list[Part]]:
    """Lock a folder for writing, and yield its parts, if any.

    Raises:
        Failure: It contains something else, or another save is running.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = {path.name for path in folder.iterdir()}
    if names - {DRAFT, LOCK} and not _paths(folder):
        raise Failure(
            f"{folder} is not a backup, and not empty",
            "Name a new folder, or an empty one.",
        )
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(folder / LOCK, wait=False))
        except BlockingIOError as error:
            raise Failure(
                f"another save into {folder} is running", code=TRY_LATER
            ) from error
        _delete_draft(folder)
        yield parts(folder) if _paths(folder) else []


@contextlib.contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """Yield the folder of a new part, and delete it unless it was published."""
    path = folder / DRAFT
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        _delete_draft(folder)


def publish(folder: Path, made: Manifest) -> Part:
    """Make the draft the next part: sync it to disk, then rename it."""
    with (folder / DRAFT / manifest.NAME).open("x", encoding="utf-8") as file:
        file.write(made.text())
        file.flush()
        sync(file.fileno())
    for path in (folder / DRAFT / made.database, folder / DRAFT):
        sync_path(path)
    last = _paths(folder)[-1:]
    path = folder / f"{int(last[0].name) + 1 if last else 1:04}"
    (folder / DRAFT).rename(path)
    sync_path(folder)
    return Part(path, made)


def _paths(folder: Path) -> list[Path]:
    """Return the paths of the parts, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if NUMBER.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name))


def _delete_draft(folder: Path) -> None:
    shutil.rmtree(folder / DRAFT, ignore_errors=True)
