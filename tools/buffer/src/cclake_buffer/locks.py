"""Allow one appender per host and buffer; a second one waits as a standby."""

import contextlib
import fcntl
import hashlib
import os
import select
import sys
from pathlib import Path

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.stop import Stop


class HostLocks:
    """Locks that the kernel releases when the process ends, however it ends.

    The lock files are empty, so that a lock can be taken on a full disk.
    """

    def __init__(self, path: Path, stop: Stop) -> None:
        self._path = path
        self._stop = stop
        self._held: dict[str, int] = {}

    def hold(self, host: str) -> None:
        """Hold the lock of a host; wait while another appender has it.

        Raises:
            Failure: It had to wait. Its tailer has started from positions that are
                old by now, so both must restart.
        """
        if host in self._held:
            return
        fd = os.open(self._name(host), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held[host] = fd
        if _try(fd):
            return
        print(
            f"buffer: another append for {host} is running; waiting as its standby",
            file=sys.stderr,
        )
        while not _try(fd):
            if self._wait_a_little():
                raise Failure("stopped while waiting as a standby", code=TRY_LATER)
        raise Failure(
            f"the other append for {host} has ended; taking over",
            "Start again, so that the tailer resumes from the newest positions.",
            TRY_LATER,
        )

    def _name(self, host: str) -> Path:
        digest = hashlib.blake2b(host.encode(), digest_size=4).hexdigest()
        return self._path.with_name(f"{self._path.name}.append-{digest}.lock")

    def _wait_a_little(self) -> bool:
        return bool(select.select([self._stop.fd], [], [], 0.5)[0])


def _try(fd: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
