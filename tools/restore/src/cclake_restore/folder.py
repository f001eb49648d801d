"""Writing below one folder and nowhere else, whatever the paths say."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from cclake_common.failure import Failure

from cclake_restore.chosen import is_safe

THERE = "it is there already"
# What a file system says that has no links, as that of many a stick.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NO_NAMELESS = (errno.EISDIR, errno.ENOTSUP, errno.EINVAL, errno.ENOENT)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_DRAFT = re.compile(r"\.restore-[0-9a-f]{16}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Folder:
    """A folder that new files are written into.

    Every step of a path is opened below the one before, and links are never followed:
    neither a path from the archive nor a link in the folder leads out of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Failure(f"{path} cannot be used: {error.strerror}") from error

    def write(self, relative: str, pieces: Iterable[bytes]) -> int:
        """Write a new file, whole or not at all; gives its number of bytes.

        Raises:
            Failure: There is such a file already, or it cannot be written.
        """
        if not is_safe(relative):
            raise Failure("its path leads out of the folder")
        *folders, name = relative.split("/")
        try:
            with self._inside(folders) as parent:
                return _write_new(parent, name, pieces)
        except FileExistsError as error:
            raise Failure(THERE) from error
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

    def __enter__(self) -> "Folder":
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

    A killed process leaves nothing: the system removes a file without a name.
    """
    nameless = _nameless(parent)
    if nameless is None:
        return _write_draft(parent, name, pieces)
    with os.fdopen(nameless, "w+b", buffering=1 << 20) as file:
        size = sum(map(file.write, pieces))
        file.flush()
        try:
            # Unlike a rename, a link never takes the place of a file.
            os.link(f"/proc/self/fd/{nameless}", name, dst_dir_fd=parent)
        except OSError as error:
            if error.errno not in (*_NO_LINKS, errno.ENOENT):
                raise
            file.seek(0)
            blocks = iter(lambda: file.read(1 << 20), b"")
            return _write_draft(parent, name, blocks)
    return size


def _nameless(parent: int) -> int | None:
    """Open a new file without a name; return None if the system cannot."""
    flag = getattr(os, "O_TMPFILE", 0)
    try:
        return os.open(".", os.O_RDWR | flag, 0o600, dir_fd=parent) if flag else None
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise


def _write_draft(parent: int, name: str, pieces: Iterable[bytes]) -> int:
    """Write a file under another name first; remove the drafts of killed runs."""
    _sweep(parent)
    # The name is short: that of the file may already be as long as a name can be.
    draft = f".restore-{secrets.token_hex(8)}"
    handle = os.open(draft, _NEW, 0o600, dir_fd=parent)
    try:
        with os.fdopen(handle, "wb", buffering=1 << 20) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = sum(map(file.write, pieces))
            file.flush()
            _put(parent, draft, name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=parent)
    return size


def _sweep(parent: int) -> None:
    """Remove drafts that no living process holds."""
    for name in filter(_DRAFT.fullmatch, os.listdir(parent)):
        with contextlib.suppress(OSError):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=parent)
            finally:
                os.close(handle)


def _put(parent: int, draft: str, name: str) -> None:
    """Give a draft its name, if no file has it.

    Raises:
        FileExistsError: One has.
    """
    try:
        os.link(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(name, _NEW, 0o600, dir_fd=parent))
        os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
