"""One process at a time for a piece of work, and which process it is."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import INTERRUPTED, Failure

_SIZE = 2048


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: its process, and what it does, as the user would call it."""

    pid: int
    work: str

    def __str__(self) -> str:
        return f"`{self.work}` (process {self.pid})"


class Lock:
    """A lock file in the data directory, which names the process that holds it.

    It ends with its process, however that ends. Taking it with `stop_others` turns
    away all processes that were waiting for it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._stops = self._read()[1]

    def take(self, work: str, stop_others: bool = False) -> bool:
        """Take the lock, unless another process has it; return whether it was taken.

        Args:
            work: What it is taken for.
            stop_others: Refuse it to the processes that wait for it now.

        Raises:
            Failure: Another process took it with `stop_others` meanwhile.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
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
