"""`/health` and `/metrics` of `pipeline watch`, on the loopback interface only."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cclake_pipeline.metrics import exposition, health
from cclake_pipeline.record import Record

LOOPBACK = "127.0.0.1"
_SEEN = 50  # newest runs in which the last one that was done is looked for


def serve(record: Record, port: int, say: Callable[[str], None]) -> None:
    """Answer requests in a thread, as long as the process lives.

    A port that is taken is no reason not to run the pipeline: it is told, once.

    Args:
        record: The record of runs.
        port: The port; 0: don't serve.
        say: Told when the port is taken.
    """
    if not port:
        return

    class Handler(_Handler):
        runs = record

    try:
        server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    except OSError as error:
        say(f"no metrics on port {port}: {error.strerror} (set PIPELINE_PORT)")
        return
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    runs: Record

    def do_GET(self) -> None:
        """Answer with the newest runs."""
        if self.path == "/metrics":
            text = exposition(self.runs.recent(_SEEN))
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
        elif self.path == "/health":
            found = health(self.runs.recent(_SEEN))
            code = 503 if found["status"] == "failing" else 200
            self._answer(code, "application/json", json.dumps(found))
        else:
            self._answer(404, "text/plain; charset=utf-8", "/health or /metrics\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is for runs."""

    def _answer(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
