"""Write files below one folder and nowhere else, even if paths are hostile."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from cclake_common.failure import Failure
from cclake_common.lock import try_lock

from cclake_restore.selection import is_safe

EXISTS = "it exists already"
# Errors of file systems without links, such as those of many USB sticks.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NO_UNNAMED = (errno.EISDIR, errno.ENOTSUP, errno.EINVAL, errno.ENOENT)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_DRAFT = re.compile(r"\.restore-[0-9a-f]{16}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class OutputFolder:
    """A folder that new files are written into.

    Each part of a path is opened relative to the one before, and links are never
    followed. So neither a path from the archive nor a link in the folder can lead out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Failure(f"cannot use {path}: {error.strerror}") from error

    def write(self, relative: str, pieces: Iterable[bytes]) -> int:
        """Write a new file, completely or not at all; return its number of bytes.

        Raises:
            Failure: The file exists already, or can't be written.
        """
        if not is_safe(relative):
            raise Failure("its path points outside of the folder")
        *folders, name = relative.split("/")
        try:
            with self._inside(folders) as parent:
                return _write_new(parent, name, pieces)
        except FileExistsError as error:
            raise Failure(EXISTS) from error
        except OSError as error:
            raise Failure(error.strerror or str(error)) from error

    @contextlib.contextmanager
    def _inside(self, folders: Iterable[str]) -> Iterator[int]:
        current = os.dup(self._top)
        try:
            for name in folders:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=current)
                below = os.open(name, _DIRECTORY, dir_fd=current)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def __enter__(self) -> "OutputFolder":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        os.close(self._top)


def _write_new(parent: int, name: str, pieces: Iterable[bytes]) -> int:
    """Write a file that has no name until it is complete.

    If the process is killed, the system removes the unnamed file.
    """
    unnamed = _open_unnamed(parent)
    if unnamed is None:
        return _write_draft(parent, name, pieces)
    with os.fdopen(unnamed, "w+b", buffering=1 << 20) as file:
        size = sum(map(file.write, pieces))
        file.flush()
        try:
            # Unlike a rename, a link never replaces a file.
            os.link(f"/proc/self/fd/{unnamed}", name, dst_dir_fd=parent)
        except OSError as error:
            if error.errno not in (*_NO_LINKS, errno.ENOENT):
                raise
            file.seek(0)
            blocks = iter(lambda: file.read(1 << 20), b"")
            return _write_draft(parent, name, blocks)
    return size


def _open_unnamed(parent: int) -> int | None:
    """Open a new file without a name; return None if that is not supported."""
    flag = getattr(os, "O_TMPFILE", 0)
    try:
        return os.open(".", os.O_RDWR | flag, 0o600, dir_fd=parent) if flag else None
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def _write_draft(parent: int, name: str, pieces: Iterable[bytes]) -> int:
    """Write a file under a temporary name first; remove drafts of killed runs."""
    _remove_stale_drafts(parent)
    # A short name, because the file's own name may already have the maximum length.
    draft = f".restore-{secrets.token_hex(8)}"
    handle = os.open(draft, _NEW, 0o600, dir_fd=parent)
    try:
        with os.fdopen(handle, "wb", buffering=1 << 20) as file:
            try_lock(handle)
            size = sum(map(file.write, pieces))
            file.flush()
            _name_draft(parent, draft, name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=parent)
    return size


def _remove_stale_drafts(parent: int) -> None:
    """Remove drafts that no running process has locked."""
    for name in filter(_DRAFT.fullmatch, os.listdir(parent)):
        with contextlib.suppress(OSError):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                if try_lock(handle):
                    os.unlink(name, dir_fd=parent)
            finally:
                os.close(handle)


def _name_draft(parent: int, draft: str, name: str) -> None:
    """Give a draft its final name.

    Raises:
        FileExistsError: A file has that name already.
    """
    try:
        os.link(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(name, _NEW, 0o600, dir_fd=parent))
        os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
