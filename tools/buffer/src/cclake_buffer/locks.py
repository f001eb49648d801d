"""Allow one appender per host and buffer; a second one waits as a standby."""

import hashlib
import sys
from pathlib import Path

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.lock import hold
from cclake_common.stop import Stop


class HostLocks:
    """Locks of the hosts whose lines this process appends."""

    def __init__(self, path: Path, stop: Stop) -> None:
        self._path = path
        self._stop = stop
        self._held: set[str] = set()

    def hold(self, host: str) -> None:
        """Hold the lock of a host; wait while another appender has it.

        Raises:
            Failure: It had to wait. Its tailer has started from positions that are
                old by now, so both must restart.
        """
        if host in self._held:
            return
        waited = False

        def standby() -> None:
            nonlocal waited
            waited = True
            print(
                f"buffer: another append for {host} is running; waiting as its standby",
                file=sys.stderr,
            )

        if not hold(self._name(host), self._stop, standby):
            raise Failure("stopped while waiting as a standby", code=TRY_LATER)
        self._held.add(host)
        if waited:
            raise Failure(
                f"the other append for {host} has ended; taking over",
                "Start again, so that the tailer resumes from the newest positions.",
                TRY_LATER,
            )

    def _name(self, host: str) -> Path:
        digest = hashlib.blake2b(host.encode(), digest_size=4).hexdigest()
        return self._path.with_name(f"{self._path.name}.append-{digest}.lock")
