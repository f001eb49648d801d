"""Standard output: large writes, and nothing kept back when the tailer waits."""

import contextlib
import fcntl
import os
import select
from collections.abc import Iterable

_BLOCK = 1 << 18
_PIPE = 1 << 20


class Output:
    """Collects records and writes them to a file descriptor in large blocks."""

    def __init__(self, fd: int = 1) -> None:
        self.fd = fd
        self._pieces: list[bytes] = []
        self._size = 0
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)

    def add(self, pieces: Iterable[bytes]) -> None:
        """Add pieces of records; they are written when they make a block."""
        for piece in pieces:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size >= _BLOCK:
                self.flush()

    def flush(self) -> None:
        """Write all that was added."""
        if not self._pieces:
            return
        # Long lines are written by themselves: joining would copy them.
        pieces, self._pieces, self._size = self._pieces, [], 0
        group: list[bytes] = []
        for piece in pieces:
            if len(piece) > _PIPE:
                self._write(b"".join(group))
                self._write(piece)
                group = []
            else:
                group.append(piece)
        self._write(b"".join(group))

    def reader_gone(self) -> bool:
        """Whether nobody will ever read what is written."""
        poll = select.poll()
        poll.register(self.fd, 0)
        return any(event & select.POLLERR for _fd, event in poll.poll(0))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]
