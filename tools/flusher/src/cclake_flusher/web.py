"""The health endpoint: HTTP on the loopback interface only."""

import errno
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cclake_common.failure import Failure

from cclake_flusher.metrics import render
from cclake_flusher.report import health, look, stats
from cclake_flusher.state import State


def serve(port: int, buffer: Path, state: State) -> ThreadingHTTPServer:
    """Answer `/health`, `/stats` and `/metrics` from a thread of its own.

    Raises:
        Failure: The port is in use.
    """
    try:
        server = _Server(("127.0.0.1", port), _handler(buffer, state))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise Failure(
            f"port {port} for health is in use, or not allowed",
            "Choose another one with --health-port or HEALTH_PORT.",
        ) from error
    Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(buffer: Path, state: State) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.split("?")[0].rstrip("/") or "/health":
                case "/health":
                    report = health(state, look(buffer))
                    code = 503 if report["status"] == "failing" else 200
                    self._answer(code, _json(report))
                case "/stats":
                    self._answer(200, _json(stats(state, look(buffer))))
                case "/metrics":
                    kind = "text/plain; version=0.0.4; charset=utf-8"
                    self._answer(200, render(state, look(buffer)), kind)
                case _:
                    text = {"error": "there are /health, /stats and /metrics"}
                    self._answer(404, _json(text))

        def _answer(
            self, code: int, body: bytes, kind: str = "application/json"
        ) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Requests are not worth a line in the log."""

    return Handler


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
