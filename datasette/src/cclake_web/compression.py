"""Compress responses, except where their size could reveal a secret."""

from urllib.parse import parse_qsl

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

LEVEL = 6  # a higher one takes longer than it saves
SMALLEST = 500  # bytes; a smaller answer would hardly become smaller
_ASSETS = "/-/cclake/"
# Pages of Datasette, whose forms have a token.
_WITH_TOKEN = ("/conversations", "/-/", "/_")


def compressed(app: ASGIApp) -> ASGIApp:
    """Return the application with compressed responses, if the browser accepts them.

    The size of a compressed page tells whether a text that another site chose occurs in
    a secret beside it (BREACH). `access.refusal` lets no other site choose such a text,
    and our pages have neither tokens nor, unless they are revealed, secrets. Since some
    browsers do not say who asks, revealed pages and Datasette's, whose forms have a
    token, are sent as they are.
    """
    small = GZipMiddleware(app, SMALLEST, LEVEL)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        has_secret = scope["type"] != "http" or _has_secret(scope)
        await (app if has_secret else small)(scope, receive, send)

    return answer


def _has_secret(scope: Scope) -> bool:
    path = scope["path"]
    if path.startswith(_WITH_TOKEN) and not path.startswith(_ASSETS):
        return True
    query = scope.get("query_string", b"").decode("latin-1")
    return "reveal" in dict(parse_qsl(query))
