"""Implement the hooks of Datasette."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Generator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from cclake_common.words import words_of
from datasette.utils import StartupError
from datasette.utils.asgi import Request, Response
from jinja2 import Environment
from pluggy import HookimplMarker, Result
from starlette.types import ASGIApp
from uvicorn import Server

from cclake_web.compression import compressed
from cclake_web.descriptions import metadata
from cclake_web.downloads.datasette_csv import safe_csv
from cclake_web.export import NAME, REVEALING
from cclake_web.live.stream import live_stream
from cclake_web.pages.canned import canned
from cclake_web.pages.compare import compare_page
from cclake_web.pages.costs import cost_page
from cclake_web.pages.dashboard import dashboard_page
from cclake_web.pages.export import selection_export, session_export
from cclake_web.pages.file_history import file_page, files_page
from cclake_web.pages.files import asset_file, image_file, line_image
from cclake_web.pages.find import find_in_session
from cclake_web.pages.keep import keep_page, kept_export
from cclake_web.pages.login import login_page
from cclake_web.pages.palette import palette
from cclake_web.pages.part import part_page
from cclake_web.pages.raw import raw_page
from cclake_web.pages.runs import runs_page
from cclake_web.pages.search import search_page
from cclake_web.pages.sessions import sessions_page
from cclake_web.pages.stock import extend, session_link
from cclake_web.pages.thread import thread_page
from cclake_web.pages.web import asset_url, environment
from cclake_web.permissions import refused, reveals, signed_in, signed_in_until
from cclake_web.render.code import warm
from cclake_web.render.safe import finalize, visible
from cclake_web.security import Guard
from cclake_web.shutdown import main_loop
from cclake_web.state import state_of
from cclake_web.team.admission import Admission
from cclake_web.team.reader import READER

if TYPE_CHECKING:  # Datasette loads its plugins while it is being imported
    from datasette.app import Datasette

hookimpl = HookimplMarker("datasette")
_PLAIN = r"(?P<format>json|jsonl|csv|md)"
_FORMATS = r"(?P<format>json|jsonl|csv|md|html)"
Route = tuple[str, Callable[..., Awaitable[Response | None]]]


@hookimpl
def startup(datasette: Datasette) -> Awaitable[None] | None:
    """Open the export, if there is one; serve nothing else."""
    from datasette import handle_exception  # type: ignore[attr-defined]

    # It would print the values of variables, which are texts of logs, in tracebacks.
    handle_exception.rich = None
    datasette.databases = {
        name: db for name, db in datasette.databases.items() if name != "_memory"
    }
    safe_csv()
    state = state_of(datasette)
    stable = hasattr(datasette, "ensure_permissions")  # 0.65, not a 1.0 alpha
    if state.config.is_team and not stable:
        raise StartupError("CCLAKE_WEB_TEAM needs Datasette 0.65")
    if state.config.is_team and state.config.password:
        raise StartupError(
            "CCLAKE_WEB_TEAM and CCLAKE_WEB_PASSWORD_HASH exclude each other: "
            "give each user a password in team.toml"
        )
    if state.config.password and not stable:
        raise StartupError("CCLAKE_WEB_PASSWORD_HASH needs Datasette 0.65")
    if not state.config.reveal and not stable:
        raise StartupError("CCLAKE_WEB_REVEAL=no needs Datasette 0.65")
    state.export.look()
    Server.main_loop = main_loop  # type: ignore[assignment,method-assign]
    # Load templates and lexers now, so that the first page does not wait for them.
    for name in environment().list_templates():
        environment().get_template(name)
    warm()
    return None if stable else _add_queries(datasette)


async def _add_queries(datasette: Datasette) -> None:
    """Add queries to Datasette 1.0, which keeps them in a database of its own."""
    for name, query in canned().items():
        await datasette.add_query(
            NAME, name, query["sql"], title=query["title"], is_trusted=True
        )


@hookimpl
def register_routes(datasette: Datasette) -> list[Route]:
    """Our pages; Datasette's own stay below `/conversations` and `/-/`."""
    own = [(r"^/-/login$", login_page)] if state_of(datasette).config.is_team else []
    return [
        *own,
        (r"^/$", sessions_page),
        (r"^/session/(?P<session_id>[^/]+)$", thread_page),
        (r"^/session/(?P<session_id>[^/]+)/cost$", cost_page),
        (rf"^/session/(?P<session_id>[^/]+)/export\.{_FORMATS}$", session_export),
        (
            r"^/export/(?P<what>sessions|messages)\.(?P<format>json|jsonl|csv|md)$",
            selection_export,
        ),
        (
            r"^/session/(?P<session_id>[^/]+)/part/(?P<entry_key>[^/]+)/(?P<number>[0-9]{1,4})$",
            part_page,
        ),
        (r"^/session/(?P<session_id>[^/]+)/find\.json$", find_in_session),
        (r"^/search$", search_page),
        (r"^/dashboard$", dashboard_page),
        (r"^/compare$", compare_page),
        (r"^/file$", file_page),
        (r"^/files$", files_page),
        (r"^/runs$", runs_page),
        (r"^/keep$", keep_page),
        (r"^/export/kept\.json$", kept_export),
        (r"^/palette\.json$", palette),
        (r"^/raw/(?P<doc_id>[0-9a-f]+)$", raw_page),
        (r"^/live/(?P<session_id>[^/]+)$", live_stream),
        (r"^/image/(?P<key>[^/]+)$", image_file),
        (r"^/line-image/(?P<doc_id>[0-9a-f]+)/(?P<number>[0-9]{1,4})$", line_image),
        (r"^/-/cclake/[0-9a-f]+/(?P<name>[a-z.]+)$", asset_file),
    ]


@hookimpl(trylast=True)
def asgi_wrapper(datasette: Datasette) -> Callable[[ASGIApp], ASGIApp]:
    """Compress the answers of the application, and wrap it in `Guard`."""
    state = state_of(datasette)
    team = None
    if state.config.is_team:
        routes = cache(datasette._routes)
        team = Admission(state.config, routes, partial(signed_in, datasette))

    def wrap(app: ASGIApp) -> ASGIApp:
        return Guard(
            compressed(app), state.config, state.export,
            partial(reveals, datasette), partial(signed_in_until, datasette), team,
        )  # fmt: skip

    return wrap


@hookimpl
def skip_csrf(datasette: Datasette, scope: dict[str, Any]) -> bool:
    """Take our own forms without Datasette's token: requests were checked before."""
    is_login = scope["path"] == "/-/login" and state_of(datasette).config.is_team
    return bool(scope["path"] == "/keep" or is_login)


@hookimpl(tryfirst=True)
def actor_from_request() -> dict[str, str] | None:
    """Return the user of a team, as the request was admitted."""
    reader = READER.get()
    return {"id": reader.name} if reader and reader.name else None


@hookimpl
def get_metadata() -> dict[str, Any]:
    """Return the descriptions of tables and columns."""
    return metadata()


@hookimpl
def canned_queries(database: str) -> dict[str, dict[str, str]]:
    """Return frequent queries."""
    return canned() if database == NAME else {}


@hookimpl
def prepare_connection(conn: sqlite3.Connection) -> None:
    """Give SQL the words that the full-text index has."""
    conn.create_function("search_words", 1, words_of, deterministic=True)


@hookimpl
def extra_css_urls(datasette: Datasette) -> list[str]:
    """Give Datasette's own pages our colours, light and dark."""
    names = ("theme.css", "stock.css")
    return [datasette.urls.path(asset_url(name)) for name in names]


@hookimpl
def extra_js_urls(datasette: Datasette) -> list[str]:
    """Return the script that keeps the theme."""
    return [datasette.urls.path(asset_url("theme.js"))]


@hookimpl
def prepare_jinja2_environment(env: Environment, datasette: Datasette) -> None:
    """Make log text visible wherever Datasette's own templates print it."""
    env.finalize = finalize
    if hasattr(datasette, "ensure_permissions"):  # 0.65; a 1.0 alpha keeps its own
        extend(env)


@hookimpl
def render_cell(value: Any, column: str) -> str | None:
    """Show odd characters, and lead from a session to its conversation."""
    if not isinstance(value, str):
        return None
    if column == "session_id" and value:
        return session_link(value)
    shown = visible(value)
    return shown if shown != value else None


@hookimpl(trylast=True)
def permission_allowed(
    datasette: Datasette, actor: Any, action: str, resource: Any
) -> Awaitable[bool | None] | bool | None:
    """Refuse visitors without the password, if one is set."""
    if state_of(datasette).config.password and actor is None:
        return False
    if action in ("execute-sql", "view-table"):
        return refused(datasette, actor, action, resource)
    return None


@hookimpl
def forbidden(datasette: Datasette, request: Request) -> Response | None:
    """Redirect a visitor without the password to the sign-in page."""
    if state_of(datasette).config.password and request.actor is None:
        return Response.redirect(datasette.urls.path("/-/login"))
    return None


@hookimpl(hookwrapper=True)
def menu_links(
    datasette: Datasette, request: Request | None
) -> Generator[None, Result[list[Any]], None]:
    """Link Datasette's own pages to unmasked content; offer no useless login."""
    called = yield
    links: list[Any] = called.get_result()
    config = state_of(datasette).config
    if not (config.password or config.is_team):
        login = datasette.urls.path("/-/login")
        links = [each for each in links if login not in str(each)]
    if request and request.path.startswith(f"/{NAME}") and not REVEALING.get():
        query = "&".join(part for part in (request.query_string, "_reveal=1") if part)
        reveal = {"href": f"{request.path}?{query}", "label": "Reveal secrets"}
        links = [[reveal], *links]
    called.force_result(links)
