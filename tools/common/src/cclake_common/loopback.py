"""A small HTTP server for health and metrics, on the loopback interface only."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cclake_common.settings import hosts

ADDRESS = "127.0.0.1"
POLL_S = 3600.0
PATIENCE_S = 30.0  # for a client that says nothing, or does not read its answer


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
        # Only `shutdown` needs a short poll, and it would wake a process at rest.
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
        # Only browsers can be misled by a page, and they always send a name.
        if not known and (named or self.request_version != "HTTP/1.0"):
            self.send_error(
                403, "Served to this machine only; see CCLAKE_ALLOWED_HOSTS"
            )
            return False
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self.send_error(403, "Not for pages of other sites")
            return False
        return True

    def answer(self, code: int, kind: str, body: bytes) -> None:
        """Send an answer.

        Args:
            code: The status.
            kind: The content type.
            body: The content.
        """
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: requests are not worth a line."""
