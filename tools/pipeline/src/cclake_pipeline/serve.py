"""Serve `/health` and `/metrics` of `pipeline watch` to this machine."""

from collections.abc import Callable

from cclake_common import loopback
from cclake_common.loopback import Answer

from cclake_pipeline.metrics import exposition, health
from cclake_pipeline.record import Record

_NEWEST = 50  # runs among which the last one that was done is looked for


def serve(record: Record, port: int, say: Callable[[str], None]) -> None:
    """Answer requests in a thread, as long as the process lives.

    The pipeline also runs without its port, if that is in use.

    Args:
        record: The record of runs.
        port: The port; 0: don't serve.
        say: Called with a warning if the port is in use.
    """
    routes = {
        "/health": lambda: Answer.health(health(record.recent(_NEWEST))),
        "/metrics": lambda: Answer.metrics(exposition(record.recent(_NEWEST)).encode()),
    }
    try:
        if port:
            loopback.serve(port, routes)
    except OSError as error:
        say(f"no metrics on port {port}: {error.strerror} (set PIPELINE_PORT)")
