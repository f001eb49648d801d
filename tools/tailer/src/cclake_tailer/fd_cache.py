"""A bounded cache of open files, so that a deleted file can still be read."""

import contextlib
import os
import resource
import sys
from collections.abc import Hashable
from typing import Generic, TypeVar

_MACOS_FILES = 10240  # OPEN_MAX

K = TypeVar("K", bound=Hashable)


def raise_fd_limit() -> None:
    """Raise the limit of open files to the maximum that the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS calls it infinite, and refuses more than this.
    wanted = _MACOS_FILES if sys.platform == "darwin" and hard > _MACOS_FILES else hard
    if soft != wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class FdCache(Generic[K]):
    """Keep files open: up to a quarter of the process's limit, at most 4096."""

    def __init__(self) -> None:
        self._fds: dict[K, int] = {}
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.limit = 4096 if soft < 0 else max(4, min(4096, soft // 4))  # -1: no limit

    def __contains__(self, key: K) -> bool:
        return key in self._fds

    def __len__(self) -> int:
        return len(self._fds)

    @property
    def keys(self) -> list[K]:
        """Return the keys, the oldest first."""
        return list(self._fds)

    def put(self, key: K, fd: int) -> None:
        """Keep a file open; close the oldest when there are too many."""
        self.release(key)
        self._fds[key] = fd
        if len(self._fds) > self.limit:
            self.release(next(iter(self._fds)))

    def take(self, key: K) -> int | None:
        """Return a file to the caller, who closes it; None without one."""
        return self._fds.pop(key, None)

    def release(self, key: K) -> None:
        """Close a file."""
        fd = self._fds.pop(key, None)
        if fd is not None:
            os.close(fd)

    def release_all(self) -> None:
        """Close all files."""
        for key in self.keys:
            self.release(key)
