"""Share what every view needs: permission, the export, templates, the zone."""

from __future__ import annotations

import hashlib
import re
import shlex
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from cclake_common.accounts import Accounts
from cclake_common.kept import Kept, Store
from datasette.utils.asgi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from cclake_web import formatting
from cclake_web.accounts import rules_of
from cclake_web.data.filters import Filters
from cclake_web.export import Export
from cclake_web.kept import readable
from cclake_web.live.overlay import Overlay
from cclake_web.permissions import ensure_visible, may_reveal
from cclake_web.render.anchors import image_address, kept_line, tools
from cclake_web.render.icons import icon, icon_sheet
from cclake_web.render.safe import finalize, visible
from cclake_web.state import State, state_of
from cclake_web.team.reader import Reader

if TYPE_CHECKING:  # Datasette loads plugins while it is imported
    from datasette.app import Datasette

_KEPT_WORDS = re.compile(
    r'(?:^|(?<=\s))(?:is:starred|label:(?:"([^"]*)"|(\S+)))(?=\s|$)', re.IGNORECASE
)
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}")


def reader_of(request: Request) -> Reader | None:
    """Return the user of a team whose request was admitted; None without a team."""
    reader: Reader | None = request.scope.get("cclake_reader")
    return reader


@cache
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if _ZONE_NAME.fullmatch(name) else None
    except (KeyError, OSError, ValueError):
        return None


def zone_of(request: Request) -> tzinfo:
    """Return the time zone in a visitor's cookie, else the machine's."""
    return _zone(unquote(request.cookies.get("tz", ""))) or _here()


def _here() -> tzinfo:
    return datetime.now().astimezone().tzinfo or UTC


@dataclass
class Visit:
    """One request to one of our pages, permitted, with the export at hand."""

    request: Request
    datasette: Datasette
    state: State
    export: Export

    @property
    def args(self) -> dict[str, str]:
        """The query string, the first value of each name."""
        return {name: self.request.args.get(name) for name in self.request.args}

    def part(self, name: str) -> str:
        """Return a part of the path, decoded."""
        return unquote(self.request.url_vars[name])

    @cached_property
    def zone(self) -> tzinfo:
        """The viewer's time zone: its cookie, else the machine's."""
        return zone_of(self.request)

    @property
    def reader(self) -> Reader | None:
        """The user of a team; None without a team."""
        return reader_of(self.request)

    @property
    def is_whole(self) -> bool:
        """Whether this visitor may read everything."""
        return self.reader is None or self.reader.rights.is_whole

    @property
    def store(self) -> Store:
        """The stars, labels and notes of this visitor."""
        return self.state.kept_of(self.reader)

    @cached_property
    def rules(self) -> Accounts:
        """The rules of the accounts; none if they can't be read."""
        return rules_of(self.state.config.accounts)[0]

    @property
    def today(self) -> date:
        """The current day of the viewer."""
        return datetime.now(self.zone).date()

    def filters(self) -> Filters:
        """Return the selection of the address, with the sessions that are kept.

        `label:name` and `is:starred` among the words restrict it, too.
        """
        args = self.args
        if words := args.get("q", ""):
            for match in _KEPT_WORDS.finditer(words):
                if match[0].strip().lower() == "is:starred":
                    args["starred"] = "1"
                else:
                    args["label"] = match[1] or match[2]
            args["q"] = _KEPT_WORDS.sub(" ", words)
        filters = Filters.from_args(args, self.zone, self.rules)
        if not filters.keeps:
            return filters
        found = {
            one.session_id
            for one in self.kept()
            if (one.starred or not filters.starred)
            and (not filters.label or filters.label in one.labels)
        }
        return replace(filters, kept=tuple(sorted(found)))

    def kept(self) -> list[Kept]:
        """Return all stars, labels and notes; none if they can't be read."""
        return readable(self.store)

    async def reveals(self) -> bool:
        """Return whether secrets are requested and this visitor may see them."""
        if self.args.get("reveal") != "1":
            return False
        return await may_reveal(self.datasette, self.request.actor)

    async def live(self) -> Overlay:
        """Return the lines that are not published yet, after looking for new ones."""
        await self.state.overlay.look(self.export)
        return self.state.overlay

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a template as an answer."""
        shown = self.export.published
        return html(
            self.request, template, status, zone=self.zone, shown=shown,
            newer=self.state.overlay.status, **context
        )  # fmt: skip


View = Callable[[Visit], Awaitable[Response | None]]


def view(fn: View) -> Callable[..., Awaitable[Response | None]]:
    """Return a view that checks permission and requires the export."""

    async def checked(request: Request, datasette: Datasette) -> Response | None:
        await ensure_visible(datasette, request.actor)
        state = state_of(datasette)
        if not state.export.look():
            return html(request, "wait.html", 503)
        try:
            return await fn(Visit(request, datasette, state, state.export))
        except sqlite3.OperationalError as error:
            if "no such" in str(error):
                print(f"web: {error}", file=sys.stderr)
                return message(
                    request, 503, "The export is from an older version", _OLD
                )
            if "interrupted" not in str(error):
                raise
            return message(request, 503, "This took too long", _slow(request.path))

    return checked


# Pages on which a filter makes the question smaller.
_NARROWED = {"/", "/search", "/dashboard", "/compare", "/files"}


def _slow(path: str) -> str:
    advice = "Add a filter, or try again." if path in _NARROWED else "Try again."
    return f"The query was stopped to keep the pages fast. {advice}"


_OLD = "The next pipeline run writes a new one. `just pipeline` starts a run now."


def message(request: Request, status: int, title: str, text: str) -> Response:
    """Return a page that only shows a message."""
    return html(request, "message.html", status, title=title, text=text)


def html(
    request: Request, template: str, status: int = 200, **context: Any
) -> Response:
    """Render one of our templates."""
    reader = reader_of(request)
    body = environment().get_template(template).render(
        nonce=request.scope.get("cclake_nonce", ""),
        path=request.path,
        actor=request.actor,
        is_whole=reader is None or reader.rights.is_whole,
        **{"shown": None, "newer": None} | context,
    )  # fmt: skip
    return Response.html(body, status=status, headers={"cache-control": "no-store"})


@lru_cache(maxsize=4096)
def _quoted(text: object) -> str:
    return quote(str(text), safe="")


def _shell(text: object) -> str:
    """Return a text as one word of a command line, ready to paste."""
    return shlex.quote(visible(str(text)))


@cache
def environment() -> Environment:
    """Return our templates, with every output escaped."""
    made = Environment(
        loader=PackageLoader("cclake_web"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        icon=icon,
        icon_sheet=icon_sheet,
        fmt=formatting,
        asset=asset_url,
        visible=visible,
        tools=tools,
        kept_line=kept_line,
        image_address=image_address,
    )
    made.filters.update(
        url=_quoted, exact=escape, shell=_shell,
        count=formatting.count, money=formatting.money, duration=formatting.duration,
        model=formatting.model_name, line=formatting.one_line,
    )  # fmt: skip
    return made


@cache
def asset(name: str) -> tuple[bytes, str]:
    """Return one of our static files, and a hash of its content."""
    content = resources.files("cclake_web").joinpath("static", name).read_bytes()
    return content, hashlib.blake2b(content, digest_size=6).hexdigest()


def asset_url(name: str) -> str:
    """Return the address of a static file; it changes with the content."""
    return f"/-/cclake/{asset(name)[1]}/{name}"
