"""Allow one flusher per buffer; a second one waits as a standby."""

import contextlib
import fcntl
import os
import select
import sys
from pathlib import Path

from cclake_common.stop import Stop

from cclake_flusher.state import State


def hold(buffer: Path, stop: Stop, state: State) -> bool:
    """Hold the lock until the process ends; wait while another flusher has it.

    The lock file is empty, so that the lock can be taken on a full disk.

    Returns:
        False if asked to stop while waiting.
    """
    buffer.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = buffer.with_name(buffer.name + ".flusher.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while not _try(fd):
        if not state.standby:
            print(
                "flusher: another one is running; waiting as its standby",
                file=sys.stderr,
            )
        state.standby = True
        if select.select([stop.fd], [], [], 0.5)[0]:
            return False
    state.standby = False
    return True


def _try(fd: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
