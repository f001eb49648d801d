"""Write records to standard output in large blocks."""

import contextlib
import fcntl
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable

from cclake_common.failure import READER_GONE, Failure
from cclake_common.visible import visible_lines

_BLOCK = 1 << 18
_PIPE = 1 << 20


class Output:
    """Collect records and write them to a file descriptor in large blocks.

    Args:
        fd: Where to write; SIGPIPE ends the process when nobody reads there. Control
            characters are made visible on a terminal.
    """

    def __init__(self, fd: int = 1) -> None:
        self.fd = fd
        self._seen = os.isatty(fd)
        self._pieces: list[bytes] = []
        self._size = 0
        self._wake: int | None = None
        self._meanwhile: Callable[[], None] | None = None
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # not a pipe
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)

    def while_blocked(self, wake: int, meanwhile: Callable[[], None]) -> None:
        """Set what to do while a full pipe waits for its reader.

        Args:
            wake: A descriptor that is readable when there is something to do.
            meanwhile: Called then; must not write records.
        """
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(self.fd).st_mode):
                # Reopened, so that O_NONBLOCK does not affect other users of the pipe.
                own = os.open(f"/proc/self/fd/{self.fd}", os.O_WRONLY | os.O_NONBLOCK)
                self.fd, self._wake, self._meanwhile = own, wake, meanwhile

    def add(self, pieces: Iterable[bytes]) -> None:
        """Add pieces of records; write them once they fill a block."""
        for piece in pieces:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size >= _BLOCK:
                self.flush()

    def flush(self) -> None:
        """Write everything that was added.

        Raises:
            Failure: It can't be written.
        """
        pieces, self._pieces, self._size = self._pieces, [], 0
        # Long lines are written separately, because joining would copy them.
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
        """Return whether the reader of the pipe has closed it."""
        poll = select.poll()
        poll.register(self.fd, READER_GONE)
        return any(
            event & (select.POLLERR | select.POLLHUP) for _fd, event in poll.poll(0)
        )

    def _write(self, data: bytes) -> None:
        if self._seen:
            data = visible_lines(data.decode("utf-8", "replace")).encode()
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.fd, view) :]
            except BlockingIOError:
                self._wait()
            except OSError as error:
                # Not OSError: callers take that for a problem with a log file.
                raise Failure(
                    f"cannot write records: {error.strerror}",
                    "Lines whose checkpoint was not written are read again next time.",
                ) from error

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        if self._wake is not None:
            poll.register(self._wake, select.POLLIN)
        ready = {fd for fd, _event in poll.poll()}
        if self._meanwhile is not None and self._wake in ready:
            self._meanwhile()
