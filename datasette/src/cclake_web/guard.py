"""What stands before every page: Host allow-list and security headers."""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from cclake_web.generation import REVEALING
from cclake_web.generations import Exports

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLOSED = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; connect-src 'self'; "
)
_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def strict_policy(nonce: str) -> str:
    """The policy of our own pages: one stylesheet, one script with a nonce."""
    return f"{_CLOSED}img-src 'self'; style-src 'self'; script-src 'nonce-{nonce}'"


def stock_policy() -> str:
    """The policy of Datasette's pages: its files and its known inline scripts.

    They have small scripts of their own in their templates; each is allowed by
    its hash, so that a script that came from data is not.
    """
    hashes = " ".join(f"'sha256-{digest}'" for digest in _stock_hashes())
    styles = "img-src 'self' data:; style-src 'self' 'unsafe-inline'"
    return f"{_CLOSED}{styles}; script-src 'self' {hashes}"


def _stock_hashes() -> list[str]:
    found = {"DATASETTE_ALLOW_FACET = true;", "DATASETTE_ALLOW_FACET = false;"}
    for file in (resources.files("datasette") / "templates").iterdir():
        if file.name.endswith(".html"):
            scripts = _SCRIPT.findall(file.read_text("utf-8"))
            found.update(script for script in scripts if "{{" not in script)
    digests = (hashlib.sha256(text.encode()).digest() for text in found)
    return sorted(base64.b64encode(digest).decode() for digest in digests)


def host_name(header: str) -> str:
    """The name in a `Host` header, without its port."""
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


class Guard:
    """ASGI middleware: refuses foreign hosts, adds the headers of every answer."""

    def __init__(
        self, app: App, hosts: frozenset[str], exports: Exports,
        reveals: Callable[[Scope], Awaitable[bool]],
    ) -> None:  # fmt: skip
        self.app, self.hosts, self.exports, self.reveals = app, hosts, exports, reveals
        self.watching: asyncio.Task[None] | None = None
        self.stock = stock_policy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            self.watching = asyncio.create_task(self.exports.watch())
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        named = [value for name, value in scope["headers"] if name.lower() == b"host"]
        if len(named) != 1 or host_name(named[0].decode("latin-1")) not in self.hosts:
            await _refuse(send)
            return
        self.exports.look()
        nonce = secrets.token_urlsafe(16)
        stock = scope["path"].startswith(("/conversations", "/-/", "/_"))
        policy = self.stock if stock else strict_policy(nonce)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _headers(message, policy)}
            await send(message)

        REVEALING.set(stock and await self.reveals(scope))
        await self.app({**scope, "cclake_nonce": nonce}, receive, guarded)


def _headers(message: Message, policy: str) -> list[tuple[bytes, bytes]]:
    given = [(bytes(k).lower(), bytes(v)) for k, v in message.get("headers", [])]
    names = {name for name, _ in given}
    wanted = {**_ALWAYS, b"content-security-policy": policy.encode()}
    return given + [pair for pair in wanted.items() if pair[0] not in names]


async def _refuse(send: Send) -> None:
    body = (
        b"This page is served to this machine only. To reach it by another name, "
        b"put that name into CCLAKE_ALLOWED_HOSTS and start it again.\n"
    )
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_ALWAYS.items()]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
