"""Control access to the pages by the host, the origin and the token of a request."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from cclake_common.loopback import host_name
from starlette.types import Scope

from cclake_web.config import Config

COOKIE = "cclake"
KEPT_S = 90 * 86400  # lifetime of the cookie with the token, in seconds
# Links on other sites may lead to cheap pages.
_CHEAP = re.compile(r"/|/dashboard|/runs|/session/[^/]+")
_FREE = "/-/cclake/"  # our stylesheet and script, which have no text of logs
_FOREIGN = (
    "This page is served to this machine only. To reach it by another name, add that "
    "name to CCLAKE_ALLOWED_HOSTS and restart cclake."
)
_OTHER_SITE = "This address is not for other sites. Open it from the pages themselves."
_LOCKED = (
    "These pages open only at their secret address. `./just status` prints it for the "
    "user who runs cclake."
)


@dataclass(frozen=True)
class Entry:
    """An answer in place of a page, which admits the browser or refuses it."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refusal(scope: Scope, config: Config) -> str:
    """Return why a request is refused, or "" if it may be answered."""
    named = _all(scope, b"host")
    if len(named) != 1 or host_name(named[0]) not in config.hosts:
        return _FOREIGN
    return _OTHER_SITE if _is_foreign(scope, named[0]) and not _is_link(scope) else ""


def entry(scope: Scope, token: str) -> Entry | None:
    """Return the answer to a browser without the token; None if it has the token."""
    if not token or scope["path"].startswith(_FREE):
        return None
    key = hashlib.blake2b(
        token.encode(), digest_size=24, person=b"cclake web"
    ).hexdigest()
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), True)
    given = dict(query).get("token", "")
    if given and secrets.compare_digest(given.encode(), token.encode()):
        rest = urlencode([pair for pair in query if pair[0] != "token"])
        place = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0]
        # Two slashes would name another host.
        place = b"/" + place.lstrip(b"/\\") + (f"?{rest}".encode() if rest else b"")
        cookie = f"{COOKIE}={key}; Path=/; Max-Age={KEPT_S}; HttpOnly; SameSite=Lax"
        headers = ((b"location", place), (b"set-cookie", cookie.encode()))
        return Entry(303, "The pages are open.", headers)
    bearer = "".join(_all(scope, b"authorization")[:1]).removeprefix("Bearer ")
    if secrets.compare_digest(bearer.encode(), token.encode()):
        return None
    if secrets.compare_digest(_cookie(scope).encode(), key.encode()):
        return None
    return Entry(403, _LOCKED)


def _cookie(scope: Scope) -> str:
    try:
        found = SimpleCookie("; ".join(_all(scope, b"cookie")))
    except CookieError:
        return ""
    return found[COOKIE].value if COOKIE in found else ""


def _is_foreign(scope: Scope, host: str) -> bool:
    """Return whether, according to the browser, a page of another site sent it."""
    site = "".join(_all(scope, b"sec-fetch-site")[:1]).lower() or "none"
    if site not in ("none", "same-origin"):
        return True
    # Our pages name no referrer, so the origin of their forms is null.
    own = ["null"] if site == "same-origin" else []
    return any(
        urlsplit(origin).netloc.lower() != host.strip().lower()
        for origin in _all(scope, b"origin")
        if origin not in own
    )


def _is_link(scope: Scope) -> bool:
    """Return whether a person follows a link to a cheap page."""
    kind = [_all(scope, name) for name in (b"sec-fetch-mode", b"sec-fetch-dest")]
    asks = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), True))
    return (
        scope["method"] == "GET"
        and kind == [["navigate"], ["document"]]
        and _CHEAP.fullmatch(scope["path"]) is not None
        and not asks.keys() - {"at", "page", "period", "token"}
    )


def _all(scope: Scope, name: bytes) -> list[str]:
    return [v.decode("latin-1") for k, v in scope["headers"] if k.lower() == name]
