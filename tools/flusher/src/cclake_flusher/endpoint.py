"""Serve health and metrics over HTTP, on the loopback interface only."""

import errno
from pathlib import Path

from cclake_common import loopback
from cclake_common.failure import Failure
from cclake_common.loopback import Answer, Server

from cclake_flusher.health import health, read_buffer, stats
from cclake_flusher.metrics import render
from cclake_flusher.state import State


def serve(port: int, buffer: Path, state: State) -> Server:
    """Serve `/health`, `/stats` and `/metrics` from a thread.

    Raises:
        Failure: The port is in use.
    """
    routes = {
        "/health": lambda: Answer.health(health(state, read_buffer(buffer))),
        "/stats": lambda: Answer.json(stats(state, read_buffer(buffer))),
        "/metrics": lambda: Answer.metrics(render(state, read_buffer(buffer))),
    }
    try:
        return loopback.serve(port, routes)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise Failure(
            f"cannot listen on port {port} for health: in use, or not allowed",
            "Choose another port with --health-port or HEALTH_PORT.",
        ) from error
