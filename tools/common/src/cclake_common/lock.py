"""Let one process at a time do a piece of work.

The kernel releases these locks when their process ends, however it ends.
"""

import fcntl
import json
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import INTERRUPTED, Failure
from cclake_common.stop import Stop

_SIZE = 2048
_RETRY_S = 0.5


def try_lock(descriptor: int) -> bool:
    """Lock an open file; return False if another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def exclusive(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, whose folder exists.

    Args:
        path: The lock file.
        wait: Wait while another process has it.

    Raises:
        BlockingIOError: Another process has it, and `wait` is false.
    """
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def hold(path: Path, stop: Stop, standby: Callable[[], None]) -> bool:
    """Hold a lock file until the process ends; wait while another process has it.

    The file is empty, so that it can be locked on a full disk.

    Args:
        path: The lock file, whose folder exists.
        stop: Ends the waiting.
        standby: Called once if another process has it.

    Returns:
        False if asked to stop while waiting.
    """
    descriptor = _open(path)
    if try_lock(descriptor):
        return True
    standby()
    while not try_lock(descriptor):
        if select.select([stop.fd], [], [], _RETRY_S)[0]:
            os.close(descriptor)
            return False
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, and its work in the user's words."""

    pid: int
    work: str

    def __str__(self) -> str:
        return f"`{self.work}` (process {self.pid})"


class Lock:
    """A lock file in the data directory, which names the process that holds it.

    Taking it with `stop_others` refuses it to all processes that wait for it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = _open(path)
        self._stops = self._read()[1]

    def take(self, work: str, stop_others: bool = False) -> bool:
        """Take the lock, unless another process has it; return whether it was taken.

        Args:
            work: What it is taken for.
            stop_others: Refuse it to the processes that wait for it now.

        Raises:
            Failure: Another process took it with `stop_others` meanwhile.
        """
        if not try_lock(self._fd):
            return False
        stops = self._read()[1]
        if stops != self._stops and not stop_others:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            raise Failure("stopped by `just down` while it waited", code=INTERRUPTED)
        found = {"pid": os.getpid(), "work": work[:200], "stops": stops + stop_others}
        # One write, always of the same size, so that a reader never sees a part of it.
        os.pwrite(self._fd, json.dumps(found).encode().ljust(_SIZE), 0)
        return True

    def holder(self) -> Holder | None:
        """Return who holds the lock, or held it last; None if that is unknown."""
        return self._read()[0]

    def keep(self) -> None:
        """Hold the lock as long as this process lives, even after an exec."""
        os.set_inheritable(self._fd, True)

    def close(self) -> None:
        """Release the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> tuple[Holder | None, int]:
        try:
            found = json.loads(os.pread(self._fd, _SIZE, 0))
            return Holder(int(found["pid"]), str(found["work"])), int(found["stops"])
        except (ValueError, KeyError, TypeError):
            return None, 0
