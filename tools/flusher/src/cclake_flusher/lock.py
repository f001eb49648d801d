"""Allow one flusher per buffer; a second one waits as a standby."""

import sys
from pathlib import Path

from cclake_common import lock
from cclake_common.stop import Stop

from cclake_flusher.state import State


def hold(buffer: Path, stop: Stop, state: State) -> bool:
    """Hold the lock until the process ends; wait while another flusher has it.

    Returns:
        False if asked to stop while waiting.
    """

    def standby() -> None:
        said = "flusher: another one is running; waiting as its standby"
        print(said, file=sys.stderr)
        state.standby = True

    buffer.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not lock.hold(buffer.with_name(buffer.name + ".flusher.lock"), stop, standby):
        return False
    state.standby = False
    return True
