"""Read whole lines from a file descriptor."""

import os
import select

BLOCK = 1 << 20


class LineReader:
    """Read whole lines from a descriptor, at most one block at a time.

    Attributes:
        ended: Whether the writer has closed the pipe; a torn last line is dropped.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parts: list[bytes] = []
        self.ended = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN | select.POLLHUP)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._fd

    def has_more(self) -> bool:
        """Return whether bytes are waiting."""
        return not self.ended and bool(self._poll.poll(0))

    def read(self) -> list[bytes]:
        """Read one block; return the lines that it completes, without newlines."""
        block = os.read(self._fd, BLOCK)
        if not block:
            self.ended = True
            return []
        lines = block.split(b"\n")
        self._parts.append(lines[0])
        if len(lines) == 1:
            return []
        lines[0] = b"".join(self._parts)
        rest = lines.pop()
        self._parts = [rest] if rest else []
        return lines
