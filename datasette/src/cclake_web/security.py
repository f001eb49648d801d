"""Check every request, limit its time, and set the headers of its answer."""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from http.cookies import SimpleCookie
from importlib import resources

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cclake_web import access
from cclake_web.config import Config
from cclake_web.export import REVEALING, Export
from cclake_web.team.admission import Admission, Admitted, Refusal
from cclake_web.team.reader import READER

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
PAGE_S = 30  # maximum seconds until an answer begins
EXPORT_S = 150  # the same for a file, which may have a whole conversation
FORM = 1_000_000  # maximum bytes of a form
SIGNED_IN_S = 30 * 86400
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def strict_policy(nonce: str) -> str:
    """Return the policy of our own pages: one stylesheet, one script with a nonce."""
    return f"{_CLOSED}img-src 'self'; style-src 'self'; script-src 'nonce-{nonce}'"


def stock_policy() -> str:
    """Return the policy of Datasette's pages: its files and its known inline scripts.

    Their templates have small inline scripts. Each is allowed by its hash, so that a
    script from data is not.
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


Ask = Callable[[Scope], Awaitable[bool]]
Renew = Callable[[str], str]


class Guard:
    """ASGI middleware that refuses foreign requests and adds security headers.

    Args:
        app: The application.
        config: The settings.
        export: The export.
        reveals: Returns whether a request to a stock page may reveal secrets.
        renew: Returns a sign-in cookie that expires.
        team: Decides who may read what; None without a team.
    """

    def __init__(
        self, app: ASGIApp, config: Config, export: Export, reveals: Ask, renew: Renew,
        team: Admission | None = None,
    ) -> None:  # fmt: skip
        self.app, self.config, self.export = app, config, export
        self.reveals, self.renew, self.team = reveals, renew, team
        self.watching: asyncio.Task[None] | None = None
        self.stock = stock_policy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            self.watching = asyncio.create_task(self.export.watch())
        if scope["type"] == "websocket":  # no page has one, and nothing would check it
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = access.refusal(scope, self.config)
        if refusal:
            await say(send, 403, refusal)
            return
        entry = access.entry(scope, self.config.token)
        if entry is not None:
            await say(send, entry.status, entry.text, entry.headers)
            return
        admitted = self.team.admit(scope) if self.team else None
        if isinstance(admitted, Refusal):
            await refuse(send, admitted)
            return
        if scope["method"] in ("POST", "PUT", "PATCH"):
            body = await _body(receive)
            if body is None:
                return  # the client closed the connection
            if len(body) > FORM:
                await say(send, 413, "This form is too large.")
                return
            receive = _replay(body, receive)
        await self._answer(scope, receive, send, admitted)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, admitted: Admitted | None
    ) -> None:
        self.export.look()
        nonce = secrets.token_urlsafe(16)
        path = scope["path"]
        stock = path.startswith(("/conversations", "/-/", "/_"))
        policy = self.stock if stock else strict_policy(nonce)
        seconds = EXPORT_S if "/export" in path else PAGE_S
        begun = is_refused = False

        async def guarded(message: Message) -> None:
            nonlocal begun, is_refused
            if message["type"] == "http.response.start":
                begun = True
                limit.reschedule(None)  # a download has no time limit once it has begun
                headers = _headers(message, policy, self.renew)
                if self.team and admitted:
                    headers = _own(headers) if admitted.reader.name else headers
                    refusal = self.team.record(admitted.event, message["status"])
                    if refusal:
                        is_refused = True
                        await refuse(send, refusal)
                message = {**message, "headers": headers}
            if not is_refused:
                await send(message)

        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                READER.set(admitted.reader if admitted else None)
                REVEALING.set(stock and await self.reveals(scope))
                inside = {**scope, "cclake_nonce": nonce, "cclake_reader": READER.get()}
                await self.app(inside, receive, guarded)
        except TimeoutError:
            if begun:
                raise
            await say(send, 503, "This took too long, and was stopped. Try again.")


async def _body(receive: Receive) -> bytes | None:
    """Read a form, up to its limit and a little more; None if it is incomplete."""
    body = b""
    more = True
    while more and len(body) <= FORM:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that replays what was read."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return parts.pop() if parts else await receive()

    return read


def _headers(message: Message, policy: str, renew: Renew) -> list[tuple[bytes, bytes]]:
    given = [(bytes(k).lower(), bytes(v)) for k, v in message.get("headers", [])]
    given = [
        (k, _cookie(v.decode("latin-1"), renew) if k == b"set-cookie" else v)
        for k, v in given
    ]
    names = {name for name, _ in given}
    wanted = {**_ALWAYS, b"content-security-policy": policy.encode()}
    return given + [pair for pair in wanted.items() if pair[0] not in names]


def _own(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that only its reader may have."""
    kept = [pair for pair in headers if pair[0] != b"cache-control"]
    return [*kept, (b"cache-control", b"private, no-store")]


def _cookie(header: str, renew: Renew) -> bytes:
    """Return a cookie that scripts cannot read; a sign-in expires."""
    cookie = SimpleCookie(header)
    for name, morsel in cookie.items():
        morsel["httponly"] = True
        morsel["samesite"] = morsel["samesite"] or "lax"
        if name == "ds_actor" and morsel.value:
            cookie[name] = renew(morsel.value)
            cookie[name].update(morsel)
            cookie[name]["max-age"] = SIGNED_IN_S
    return cookie.output(header="", sep=",").strip().encode("latin-1")


async def refuse(send: Send, refusal: Refusal) -> None:
    """Answer with a refusal, or with the place to go to instead."""
    place = ((b"location", refusal.place.encode()),) if refusal.place else ()
    await say(send, refusal.status, refusal.text, place)


async def say(
    send: Send, status: int, text: str, extra: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a sentence."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *extra]
    headers += [(b"cache-control", b"no-store"), *_ALWAYS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
