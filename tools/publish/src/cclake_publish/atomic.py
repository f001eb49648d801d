"""Write files atomically, with one publisher at a time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cclake_common.lock import exclusive
from cclake_common.sync import sync_path

_COMPANIONS = ("", "-journal", "-wal", "-shm", ".wal", ".fts")


@contextmanager
def publisher_lock(folder: Path) -> Iterator[Path]:
    """Hold the lock of the only publisher into a folder; wait for another to end.

    Yields:
        A path for temporary files, which is deleted at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".publish.lock"):
        scratch = folder / ".publish.tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Write a file beside `target`; it replaces `target` at the end.

    A file of a killed run under the temporary name is deleted first. If the body fails,
    `target` is unchanged. Only its owner may read the new file.

    Args:
        target: The file to replace.
    """
    temporary = target.with_name(f".{target.name}.new")
    discard(temporary)
    try:
        yield temporary
        temporary.chmod(0o600)  # independent of the umask and of its source
        sync_path(temporary)
        temporary.replace(target)
        sync_path(target.parent)
    finally:
        discard(temporary)


def discard(path: Path) -> None:
    """Remove a database file and its companions, if there are any."""
    for companion in _COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)
