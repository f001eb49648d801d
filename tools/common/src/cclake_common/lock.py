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

    It ends with its process, however that ends. Who takes it with `stop_others` sends
    those away who waited for it before.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._stops = self._read()[1]

    def take(self, work: str, stop_others: bool = False) -> bool:
        """Take it, unless another process has it; return whether it is taken.

        Args:
            work: What it is taken for.
            stop_others: Who waits for it already is refused when it is free again.

        Raises:
            Failure: Somebody has asked those who waited to stop.
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
        # One write of always the same size: a reader never sees a part of it.
        os.pwrite(self._fd, json.dumps(found).encode().ljust(_SIZE), 0)
        return True

    def holder(self) -> Holder | None:
        """Return who holds it, or held it last; None where that is not known."""
        return self._read()[0]

    def keep(self) -> None:
        """Hold it as long as this process lives, whatever program it becomes."""
        os.set_inheritable(self._fd, True)

    def close(self) -> None:
        """Give it back."""
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
