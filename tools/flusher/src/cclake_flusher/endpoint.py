"""Serve health and metrics over HTTP, on the loopback interface only."""

import errno
import json
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.loopback import ADDRESS, Handler, Server

from cclake_flusher.health import health, read_buffer, stats
from cclake_flusher.metrics import render
from cclake_flusher.state import State

_JSON = "application/json"


def serve(port: int, buffer: Path, state: State) -> Server:
    """Serve `/health`, `/stats` and `/metrics` from a thread.

    Raises:
        Failure: The port is in use.
    """
    try:
        server = Server((ADDRESS, port), _handler(buffer, state))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise Failure(
            f"cannot listen on port {port} for health: in use, or not allowed",
            "Choose another port with --health-port or HEALTH_PORT.",
        ) from error
    server.serve_in_background()
    return server


def _handler(buffer: Path, state: State) -> type[Handler]:
    class Answers(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the library calls it so
            match self.path.split("?")[0].rstrip("/") or "/health":
                case "/health":
                    report = health(state, read_buffer(buffer))
                    code = 503 if report["status"] == "failing" else 200
                    self.answer(code, _JSON, _json(report))
                case "/stats":
                    self.answer(200, _JSON, _json(stats(state, read_buffer(buffer))))
                case "/metrics":
                    kind = "text/plain; version=0.0.4; charset=utf-8"
                    self.answer(200, kind, render(state, read_buffer(buffer)))
                case _:
                    text = {"error": "not found; try /health, /stats or /metrics"}
                    self.answer(404, _JSON, _json(text))

    return Answers


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
