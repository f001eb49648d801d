"""Stop everything: the processes, and runs that were started by hand."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from cclake_common import settings
from cclake_common.failure import Failure
from cclake_common.lock import Holder, Lock

from cclake_stack.supervise import Supervisor

# A run that was asked to end may finish its commit; after this time it is killed.
KILL_AFTER_SECONDS = 120.0
WORK = "just down"
WATCH = "pipeline watch"
Say = Callable[[str], None]


def down(say: Say, supervisor: Supervisor) -> bool:
    """Stop everything in order, and wait for it; return whether anything ran.

    Runs of `just up`, `just pipeline`, `just full-refresh` or dbt are interrupted, and
    those that wait for them give up.

    Args:
        say: Prints one sentence.
        supervisor: The supervisord of the data directory.

    Raises:
        Failure: A process does not end, or belongs to another user.
    """
    home = settings.home()
    if not home.is_dir():
        return False
    with Lock(home / "up.lock") as start, Lock(home / "pipeline.lock") as run:
        ended = _end(start, say)
        running = supervisor.running()
        if running:
            holder = None if run.take(WORK, stop_others=True) else run.holder()
            if holder and holder.work == WATCH:
                say(f"Ending {holder}, which finishes its stage ...")
            # Stopped first, so that its run ends and no other one begins.
            supervisor.stop("pipeline")
        ended += _end(run, say)
        if running:
            supervisor.shutdown()
    return running or ended > 0


def _end(lock: Lock, say: Say) -> int:
    """Take a lock by asking its holders to end; return how many were asked."""
    asked: dict[int, float] = {}
    seen: Holder | None = None
    while not lock.take(WORK, stop_others=True):
        # Check twice: a process that has just taken it may not be named in it yet.
        before, seen = seen, lock.holder()
        if seen and seen == before:
            _ask(seen, asked, say)
        time.sleep(0.05)
    return len(asked)


def _ask(holder: Holder, asked: dict[int, float], say: Say) -> None:
    """Ask the holder of a lock to end, once; kill it if it does not end in time."""
    now = time.monotonic()
    if holder.pid not in asked:
        mine = holder.work == WORK
        say(f"Waiting for {holder} ..." if mine else f"Ending {holder} ...")
        asked[holder.pid] = float("inf") if mine else now + KILL_AFTER_SECONDS
        if not mine:
            _send(holder, signal.SIGTERM)
    elif now > asked[holder.pid]:
        say(f"Killing {holder}, which does not end ...")
        asked[holder.pid] = now + KILL_AFTER_SECONDS
        _send(holder, signal.SIGKILL)


def _send(holder: Holder, number: signal.Signals) -> None:
    try:
        with suppress(ProcessLookupError):
            os.kill(holder.pid, number)
    except PermissionError:
        raise Failure(
            f"{holder} belongs to another user", "Ask its user to end it."
        ) from None
