"""Run the whole stack in the foreground, for systemd and similar."""

import signal
from collections.abc import Callable

from cclake_common.failure import Failure
from cclake_common.visible import visible
from rich.console import Console

from cclake_stack import up
from cclake_stack.supervise import Supervisor, Unreachable

END_WAIT_S = 30.0


def run(say: up.Say, console: Console, ready: Callable[[], None]) -> None:
    """Start everything like `up`, and run until everything is stopped.

    SIGTERM and SIGINT stop everything in order, as `down` does.

    Args:
        say: Prints one sentence.
        console: Where progress bars and failures go (stderr).
        ready: Called when everything runs.

    Raises:
        Failure: It runs already, it does not start, or supervisord has died. The caller
            may start it again.
    """
    supervisor = Supervisor(foreground=True)
    up.end_on_sigterm()
    try:
        with up.exclusive(console):
            if supervisor.running():
                raise Failure(
                    "cclake is already running in the background",
                    "Run `just down` first.",
                )
            _start(supervisor, say, console, ready)
        supervisor.wait_for_end()
    except (up.Terminated, KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # A new connection, because a call of the first may have been interrupted.
        if Supervisor().running():
            Supervisor().shutdown()
        supervisor.wait_for_end()


def _start(
    supervisor: Supervisor, say: up.Say, console: Console, ready: Callable[[], None]
) -> None:
    try:
        up.up(say, console, supervisor)
        ready()
    except Unreachable:  # supervisord died during a call
        if not supervisor.ended(END_WAIT_S):
            raise
    except Failure as failure:
        if not supervisor.running():
            if supervisor.ended(END_WAIT_S):  # report its death, not the failure
                supervisor.wait_for_end()
            raise
        # Archiving continues, and supervisord restarts the other processes.
        console.print(visible(f"stack: {failure}"), markup=False, highlight=False)
