"""Recognise the reader of a request, and decide whether their route opens."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, unquote

from cclake_common.failure import Failure
from starlette.types import Scope

from cclake_web.config import Config
from cclake_web.team.audit import Audit
from cclake_web.team.reader import NOBODY, Reader
from cclake_web.team.routes import Door, door, is_export, is_reveal
from cclake_web.team.rules import Team, team_of

SECRET_HEADER = b"x-cclake-secret"
LOGIN = "/-/login"
_CLOSED = "The rules of this team can't be read. The log of the server has the reason."
_UNKNOWN = "These pages are for a team, and do not know you."
_PART = "Only users who may read everything can open this page."
_NO_AUDIT = "This can't be recorded now, so it can't be shown."

Routes = Callable[[], Sequence[tuple[re.Pattern[str], Any]]]
Unsign = Callable[[str], Any]


@dataclass(frozen=True)
class Refusal:
    """An answer in place of a page.

    Attributes:
        place: Where to go instead; "" for nowhere.
    """

    status: int
    text: str
    place: str = ""


@dataclass(frozen=True)
class Admitted:
    """A request that may be answered.

    Attributes:
        reader: Who reads; `NOBODY` on a page for everybody.
        event: What the audit gets; empty for nothing.
    """

    reader: Reader
    event: dict[str, Any]


class Admission:
    """Decides about each request of a team.

    Args:
        config: Has the files.
        routes: Returns the routes of the server, in the order in which it tries them.
        unsign: Returns the content of a sign-in cookie; None if it is not valid.
    """

    def __init__(self, config: Config, routes: Routes, unsign: Unsign) -> None:
        self.config, self.unsign = config, unsign
        self.audit = Audit(config.audit)
        self._routes = routes

    def admit(self, scope: Scope) -> Admitted | Refusal:
        """Return the reader of a request, or why it is refused."""
        pattern, named = self._route(scope)
        whom = door(pattern)
        if whom is Door.FREE:
            return Admitted(NOBODY, {})
        try:
            team = team_of(self.config.team)
        except Failure:
            return Refusal(503, _CLOSED)
        reader = self._reader(scope, team)
        if reader is None:
            if scope["method"] == "GET" and team.has_passwords:
                return Refusal(302, _UNKNOWN, LOGIN)
            return Refusal(403, _UNKNOWN)
        if whom is Door.WHOLE and not reader.rights.is_whole:
            return Refusal(403, _PART)
        return Admitted(reader, self._event(scope, reader, pattern, named))

    def record(self, event: dict[str, Any], status: int) -> Refusal | None:
        """Record an event; return a refusal if that is not possible."""
        written = not event or self.audit.write(**event, status=status)
        return None if written else Refusal(503, _NO_AUDIT)

    def _route(self, scope: Scope) -> tuple[str, dict[str, str]]:
        """Return the pattern of a request's route, as Datasette finds it."""
        path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0]
        for pattern, _view in self._routes():
            if match := pattern.match(path.decode("latin-1")):
                return pattern.pattern, match.groupdict()
        return "", {}

    def _reader(self, scope: Scope, team: Team) -> Reader | None:
        given = _all(scope, SECRET_HEADER)
        if given:
            # Whoever knows the secret names the user; a cookie does not count then.
            secret = self.config.proxy_secret.encode()
            if not secret or not secrets.compare_digest(b"\0".join(given), secret):
                return None
            names = _all(scope, team.header.encode()) if team.header else []
            user = team.users.get(_text(names[0])) if len(names) == 1 else None
            return user.reader if user else None
        found = self.unsign(_cookie(scope, "ds_actor"))
        if not isinstance(found, dict):
            return None
        user = team.users.get(str(found.get("id")))
        if user is None or not user.password:
            return None
        key = str(found.get("key")).encode()
        return user.reader if secrets.compare_digest(key, user.key.encode()) else None

    def _event(
        self, scope: Scope, reader: Reader, pattern: str, named: dict[str, str]
    ) -> dict[str, Any]:
        """Return what the audit gets of a request: never what is shown."""
        query = scope.get("query_string", b"").decode("latin-1")
        args = parse_qs(query, keep_blank_values=True)
        is_revealed = self.config.reveal and is_reveal(pattern, args)
        is_taken = is_export(pattern, args)
        if not (is_taken or is_revealed):
            return {}
        ids = {
            name: unquote(named.get(group) or "")
            for name, group in (
                ("session", "session_id"), ("message", "entry_key"), ("line", "doc_id"),
            )
        }  # fmt: skip
        return {
            "event": "export" if is_taken else "reveal",
            "is_revealed": is_revealed, "user": reader.name,
            "address": (scope.get("client") or ("",))[0],
            "method": scope["method"], "path": scope["path"], **ids,
        }  # fmt: skip


def _all(scope: Scope, name: bytes) -> list[bytes]:
    return [bytes(v) for k, v in scope["headers"] if k.lower() == name]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


def _cookie(scope: Scope, name: str) -> str:
    header = "; ".join(value.decode("latin-1") for value in _all(scope, b"cookie"))
    try:
        found = SimpleCookie(header)
    except CookieError:
        return ""
    return found[name].value if name in found else ""
