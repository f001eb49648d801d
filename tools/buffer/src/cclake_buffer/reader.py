"""Whole lines from a file descriptor, and whether more is waiting."""

import os
import select

BLOCK = 1 << 20


class LineReader:
    """Reads whole lines from a descriptor; never more than one block at a time.

    Attributes:
        ended: The other side has closed; a torn last line is dropped.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parts: list[bytes] = []
        self.ended = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN | select.POLLHUP)

    def fileno(self) -> int:
        """The descriptor, for a poll of the caller."""
        return self._fd

    def has_more(self) -> bool:
        """Whether a read would return at once."""
        return not self.ended and bool(self._poll.poll(0))

    def read(self) -> list[bytes]:
        """Read one block: the lines that it completes, without their newlines."""
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
