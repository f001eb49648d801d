"""A stand-in for Metabase: keeps what it is given, refuses what Metabase would refuse.

Metabase needs a jar that no package registry carries, so it can't be run in tests. This
server knows the routes that the tool uses, and the rules of the API that it must obey.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from metabase_schemas import problem as refused

Body = dict[str, Any]
KINDS = ("database", "collection", "card", "dashboard")
USER = ("me@example.com", "a long password")


class Metabase:
    """The state of one Metabase.

    Attributes:
        things: What has been made, by kind and number.
        tracking: Whether it reports to its makers: the setup switches that on.
        writes: Every POST and PUT, as method and path.
        fail_after: Answer 500 to every write after so many; none by default.
    """

    def __init__(self) -> None:
        self.things: dict[str, dict[int, Body]] = {kind: {} for kind in KINDS}
        self.tracking = False
        self.writes: list[str] = []
        self.user: tuple[str, str] | None = None
        self.key = "mb_key"
        self.fail_after: int | None = None
        self.url = ""

    def alive(self, kind: str) -> list[Body]:
        """Return the items that are not in the trash."""
        return [x for x in self.things[kind].values() if not x.get("archived")]

    def answer(
        self, method: str, path: str, body: Body, headers: Any
    ) -> tuple[int, Any]:
        """Status and body of the answer."""
        if method != "GET":
            self.writes.append(f"{method} {path}")
            if self.fail_after is not None and len(self.writes) > self.fail_after:
                return 500, "out of order"
        parts = path.strip("/").split("/")[1:]
        if parts == ["health"]:
            return 200, {"status": "ok"}
        if parts[0] in ("session", "setup"):
            return self._session(parts, body)
        signed = headers.get("X-Metabase-Session") == "session-1"
        if not signed and headers.get("X-API-KEY") != self.key:
            return 401, "Unauthenticated"
        return self._thing(method, parts, body)

    def _session(self, parts: list[str], body: Body) -> tuple[int, Any]:
        if parts == ["session", "properties"]:
            return 200, {
                "has-user-setup": self.user is not None,
                "setup-token": "token",
            }
        if parts == ["setup"]:
            if self.user or body["token"] != "token":
                return (
                    403,
                    "The /api/setup route can only be used to create the first user",
                )
            user = body["user"]
            self.user = (user["email"], user["password"])
            self.tracking = True
            return 200, {"id": "session-1"}
        if (body.get("username"), body.get("password")) != self.user:
            return 401, {"errors": {"password": "did not match stored password"}}
        return 200, {"id": "session-1"}

    def _thing(self, method: str, parts: list[str], body: Body) -> tuple[int, Any]:
        if parts == ["setting", "anon-tracking-enabled"]:
            self.tracking = body["value"]
            return 204, None
        kind, kept = parts[0], self.things[parts[0]]
        if len(parts) == 1:
            if method == "GET":
                return 200, {
                    "data": self.alive(kind)
                } if kind == "database" else self.alive(kind)
            return self._make(kind, body)
        number = int(parts[1])
        if number not in kept:
            return 404, "Not found."
        if parts[2:] == ["items"]:
            return 200, {"data": self._items(number)}
        if parts[2:] == ["sync_schema"]:
            return 200, {"status": "ok"}
        if method == "GET":
            return 200, kept[number]
        if problem := refused("PUT", kind, body) or self._problem(kind, body):
            return 400, problem
        kept[number] |= body
        return 200, kept[number]

    def _make(self, kind: str, body: Body) -> tuple[int, Any]:
        if problem := refused("POST", kind, body):
            return 400, problem
        # A new dashboard has no cards, whatever is sent with it.
        body = {
            k: v for k, v in body.items() if (kind, k) != ("dashboard", "dashcards")
        }
        if problem := self._problem(kind, body):
            return 400, problem
        number = sum(len(each) for each in self.things.values()) + 1
        self.things[kind][number] = {"id": number} | body
        return 200, self.things[kind][number]

    def _items(self, collection: int) -> list[Body]:
        return [
            {"id": each["id"], "name": each["name"], "model": model}
            for model in ("card", "dashboard")
            for each in self.alive(model)
            if each.get("collection_id") == collection
        ]

    def _problem(self, kind: str, body: Body) -> str:
        if not body.get("name", "x"):
            return "value must be a non-blank string."
        if kind == "card" and "dataset_query" in body:
            if body["dataset_query"]["database"] not in self.things["database"]:
                return "no such database"
            if body.get("collection_id") not in self.things["collection"]:
                return "no such collection"
        for each in body.get("dashcards", []):
            if each["card_id"] not in self.things["card"] or each["id"] >= 0:
                return "no such card, or a new dashcard with a number of its own"
        return ""


@contextmanager
def stand_in() -> Iterator[Metabase]:
    """A running stand-in, on loopback."""
    metabase = Metabase()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else {}
            status, answer = metabase.answer(
                self.command, self.path, body, self.headers
            )
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _do  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    metabase.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield metabase
    finally:
        server.shutdown()
        server.server_close()
