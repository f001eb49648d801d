"""Open files that must not be lost while bytes in them are unread."""

import contextlib
import os
import resource
from collections.abc import Iterator


class Held:
    """Keeps files open, the newest up to half of what the process may open."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.limit = max(8, min(4096, soft) // 2)

    def __contains__(self, key: str) -> bool:
        return key in self._fds

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._fds))

    def put(self, key: str, fd: int) -> None:
        """Keep a file open; the one kept longest is closed when there are too many."""
        self._fds[key] = fd
        while len(self._fds) > self.limit:
            self.release(next(iter(self._fds)))

    def take(self, key: str) -> int | None:
        """Give a file back to the caller, who closes it."""
        return self._fds.pop(key, None)

    def release(self, key: str) -> None:
        """Close a file."""
        fd = self._fds.pop(key, None)
        if fd is not None:
            os.close(fd)

    def release_all(self) -> None:
        """Close them all."""
        for key in self:
            with contextlib.suppress(OSError):
                self.release(key)
