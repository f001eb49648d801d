"""A small HTTP server for health and metrics, on the loopback interface only."""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cclake_common.settings import hosts

ADDRESS = "127.0.0.1"
POLL_S = 3600.0
PATIENCE_S = 30.0  # for a client that sends nothing, or does not read its answer


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the server to a request."""

    body: bytes
    content_type: str
    status: int = 200

    @classmethod
    def json(cls, value: object, status: int = 200) -> "Answer":
        """Return a value as JSON."""
        body = f"{json.dumps(value, indent=1)}\n".encode()
        return cls(body, "application/json", status)

    @classmethod
    def health(cls, report: Mapping[str, object]) -> "Answer":
        """Return a report as JSON; its status code is 503 if it is failing."""
        return cls.json(report, 503 if report["status"] == "failing" else 200)

    @classmethod
    def metrics(cls, text: bytes) -> "Answer":
        """Return metrics in the text format of Prometheus."""
        return cls(text, "text/plain; version=0.0.4; charset=utf-8")


def serve(port: int, routes: Mapping[str, Callable[[], Answer]]) -> "Server":
    """Answer GET requests in a thread, as long as the process lives.

    Args:
        port: The port; 0 for any that is free.
        routes: What to call for each path; the first one also answers for `/`.

    Raises:
        OSError: The port is in use, or not allowed.
    """
    first, *_ = routes

    class Routes(Handler):
        def do_GET(self) -> None:
            found = routes.get(self.path.split("?")[0].rstrip("/") or first)
            known = ", ".join(routes)
            missing = Answer.json({"error": f"not found; try {known}"}, 404)
            self.answer(found() if found else missing)

    server = Server((ADDRESS, port), Routes)
    server.serve_in_background()
    return server


def host_name(header: str) -> str:
    """Return the name in a `Host` header, without its port."""
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


class Server(ThreadingHTTPServer):
    """Answers each request in a thread; a client that hangs up is not an error."""

    daemon_threads = True

    def serve_in_background(self) -> None:
        """Answer from a daemon thread for as long as the process lives."""
        # Only `shutdown` needs short polls, and they would wake an idle process.
        threading.Thread(target=self.serve_forever, args=(POLL_S,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that broke off."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Refuses requests under a foreign host name, or from a page of another site."""

    timeout = PATIENCE_S

    def parse_request(self) -> bool:
        """Read a request; return False if it is refused or malformed."""
        if not super().parse_request():
            return False
        named = self.headers.get_all("Host") or []
        known = len(named) == 1 and host_name(named[0]) in hosts()
        # Only browsers can be misled by a page, and they always send a host name.
        if not known and (named or self.request_version != "HTTP/1.0"):
            self.send_error(
                403, "Served to this machine only; see CCLAKE_ALLOWED_HOSTS"
            )
            return False
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self.send_error(403, "Not for pages of other sites")
            return False
        return True

    def answer(self, answer: Answer) -> None:
        """Send an answer."""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Log nothing: requests are not worth a line."""
