"""The whole stack as one command that lasts: for systemd and its like."""

import signal
from collections.abc import Callable

from cclake_common.failure import Failure
from cclake_common.visible import visible
from rich.console import Console

from cclake_stack import up
from cclake_stack.supervise import Supervisor, Unreachable

AWHILE_S = 30.0


def last(say: up.Say, console: Console, ready: Callable[[], None]) -> None:
    """Start everything as `up` does, and stay until all is stopped.

    SIGTERM and SIGINT stop everything in order, as `down` does; so does `down` itself.

    Args:
        say: Prints one sentence.
        console: Where progress bars and failures go (stderr).
        ready: Called when everything runs.

    Raises:
        Failure: It runs already, it does not start, or supervisord has died: whoever
            started this may start it again.
    """
    supervisor = Supervisor(foreground=True)
    up.end_on_sigterm()
    try:
        with up.alone(console):
            if supervisor.running():
                raise Failure(
                    "cclake runs already, in the background", "`just down` ends it."
                )
            _start(supervisor, say, console, ready)
        supervisor.last()
    except (up.Asked, KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Another one: a call of the first may have been cut off in its middle.
        if Supervisor().running():
            Supervisor().shutdown()
        supervisor.last()


def _start(
    supervisor: Supervisor, say: up.Say, console: Console, ready: Callable[[], None]
) -> None:
    try:
        up.up(say, console, supervisor)
        ready()
    except Unreachable:  # it was asked something as it died
        if not supervisor.ended(AWHILE_S):
            raise
    except Failure as failure:
        if not supervisor.running():
            if supervisor.ended(AWHILE_S):  # its death is the reason
                supervisor.last()
            raise
        # The archive goes on, and supervisord tries the rest again.
        console.print(visible(f"stack: {failure}"), markup=False, highlight=False)
