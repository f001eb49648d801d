"""`/session/<id>`: a conversation."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import quote, urlencode

from cclake_archive.live.tables import Tables
from cclake_common.masking import mask
from datasette.utils.asgi import Response

from cclake_web.data.filters import SORTS, Filters
from cclake_web.formatting import model_name, title
from cclake_web.kept import of_session
from cclake_web.live import merge
from cclake_web.pages.part import part_address
from cclake_web.pages.sessions import listed_row, running_since
from cclake_web.pages.web import Visit, message, view
from cclake_web.render.cards import keep
from cclake_web.render.folding import leave_out
from cclake_web.subagents import Ask
from cclake_web.thread_page import Prompt, Thread, agent_at, load

MOST_THREADS = 24  # whose outline is kept
FOLLOWED = timedelta(hours=12)  # a session may resume this long after its end
MOST_PROMPTS = 200  # in the outline of a page
MOST_FILES = 100  # of a session that are listed
BESIDE = 40  # sessions above and below this one in the list beside the thread


def ask_of(visit: Visit, reveal: bool) -> Ask:
    """Return what the query string requests."""
    args = visit.args
    number = args.get("page", "")
    return Ask(
        session_id=visit.part("session_id"),
        page=int(number) if number.isdecimal() and len(number) < 7 else 0,
        at=args.get("at", ""),
        agent=args.get("agent") or None,
        everything=args.get("all") == "1",
        reveal=reveal,
    )


@dataclass(frozen=True)
class Listed:
    """The list that a session was opened from, and its neighbours there.

    Attributes:
        filters: The selection and its order.
        above: The sessions before it, in the order of the list.
        below: The sessions after it.
        is_shown: Whether the list is shown beside the thread.
    """

    filters: Filters
    above: list[dict[str, Any]]
    below: list[dict[str, Any]]
    is_shown: bool

    @property
    def query(self) -> str:
        """The query string of the list."""
        return self.filters.query()

    def words(self, session: Mapping[str, Any]) -> str:
        """Describe the selection and the order of the list; "" for the default ones."""
        filters = self.filters
        is_own = session["project_key"] == filters.project
        chosen = [
            filters.project and ((is_own and session["project_name"]) or "project"),
            model_name(filters.model),
            *(getattr(filters, name) for name in ("branch", "host", "account", "q")),
            filters.errors and "with errors",
            *(words for _, words in filters.deeper),
            filters.since and f"from {filters.since}",
            filters.until and f"to {filters.until}",
            filters.sort != "recent" and f"by {SORTS[filters.sort][1].lower()}",
        ]
        return ", ".join(map(str, filter(None, chosen)))


def _listed(
    visit: Visit,
    connection: sqlite3.Connection,
    tables: Tables | None,
    session_id: str,
) -> Listed:
    filters = visit.filters()
    is_shown = visit.request.cookies.get("beside") == "1"
    above, below = merge.around(
        connection, tables, filters, session_id, BESIDE if is_shown else 1
    )
    return Listed(
        filters,
        [listed_row(row) for row in reversed(above)],
        [listed_row(row) for row in below],
        is_shown,
    )


@view
async def thread_page(visit: Visit) -> Response:
    """Return one page of a session's thread, or of one of its agents."""
    ask = ask_of(visit, await visit.reveals())
    inside = visit.args.get("inside") == "1"
    keep = partial(visit.export.keep, "threads", MOST_THREADS)
    overlay = await visit.live()

    def answer(connection: sqlite3.Connection) -> Response:
        found = load(connection, ask, keep)
        agent = None
        if ask.at and not ask.agent:
            agent = agent_at(connection, ask.session_id, ask.at)
        with overlay.over(connection) as tables:
            if tables and ask.at and not (ask.agent or agent):
                agent = agent_at(tables.connection, ask.session_id, ask.at)
            found = merge.thread(found, tables, ask)
            listed = _listed(visit, connection, tables, ask.session_id)
        if agent:
            query = urlencode({"agent": agent, "at": ask.at})
            query += f"&{listed.query}" if listed.query else ""
            return Response.redirect(
                f"/session/{quote(ask.session_id, safe='')}?{query}"
                f"#e-{quote(ask.at, safe='')}"
            )
        if found is None:
            text = _MISSING + (_AWAY if overlay.status.away else "")
            return message(visit.request, 404, "No such session", text)
        return _inside(visit, found) if inside else _show(visit, found, listed)

    return await visit.export.read(answer)


def _inside(visit: Visit, thread: Thread) -> Response:
    """Return a part of an agent's thread, which the script inserts into its call."""
    leave_out(thread.cards, part_address(thread.ask))
    return visit.page(
        "inside.html", thread=thread, ask=thread.ask, href=partial(_href, thread.ask)
    )


def _href(ask: Ask, listed: str = "", **changes: object) -> str:
    """Return the address of a thread with another page, agent or setting."""
    now = {
        "page": ask.page or "", "agent": ask.agent or "",
        "all": "1" if ask.everything else "", "reveal": "1" if ask.reveal else "",
    } | changes  # fmt: skip
    query = urlencode({k: v for k, v in now.items() if v})
    query = "&".join(part for part in (query, listed) if part)
    base = f"/session/{quote(ask.session_id, safe='')}"
    return f"{base}?{query}" if query else base


def _show(visit: Visit, thread: Thread, listed: Listed) -> Response:
    ask = thread.ask
    keeps = of_session(visit.store, ask.session_id, ask.reveal)
    messages = {key: one for key, one in keeps.items() if key}
    if messages:
        keep(thread.cards, messages)
        keep(thread.live.cards if thread.live else [], messages)
    leave_out(thread.cards, part_address(ask))
    named = title(thread.session)
    ended = thread.session["ended_at"] or ""
    return visit.page(
        "thread.html",
        thread=thread,
        s=thread.session,
        ask=ask,
        href=cache(partial(_href, ask, listed.query)),
        listed=listed,
        keeps=keeps,
        outline=outline_near(thread.prompts, thread.page.number if thread.page else 1),
        kept_messages=sorted(messages.values(), key=lambda one: one.changed_at),
        most_files=MOST_FILES,
        title=named if ask.reveal else mask(named),
        running=ended >= running_since(),
        follow=_stream(thread) if ended >= running_since(FOLLOWED) else "",
    )


@dataclass(frozen=True)
class Outline:
    """The prompts around a page.

    Attributes:
        shown: The prompts.
        before: The last prompt that is left out above them; None if there is none.
        after: The first one below them.
        left: Number of prompts left out above and below.
    """

    shown: list[Prompt]
    before: Prompt | None
    after: Prompt | None
    left: tuple[int, int]


def outline_near(prompts: list[Prompt], page: int) -> Outline:
    """Return the outline of a page of a thread: the prompts around it."""
    place = sum(one.page < page for one in prompts)
    last = max(len(prompts) - MOST_PROMPTS, 0)
    start = min(max(place - MOST_PROMPTS // 4, 0), last)
    end = min(start + MOST_PROMPTS, len(prompts))
    return Outline(
        shown=prompts[start:end],
        before=prompts[start - 1] if start else None,
        after=prompts[end] if end < len(prompts) else None,
        left=(start, len(prompts) - end),
    )


def _stream(thread: Thread) -> str:
    """Return the address of new lines after the last page; "" on other pages."""
    if not thread.is_last:
        return ""
    ask, live = thread.ask, thread.live
    now = {
        "agent": ask.agent, "all": "1" if ask.everything else "",
        "reveal": "1" if ask.reveal else "", "part": live.part if live else 1,
    }  # fmt: skip
    query = urlencode({name: value for name, value in now.items() if value})
    return f"/live/{quote(ask.session_id, safe='')}?{query}"


_MISSING = "The archive has no message of a session with this ID."
_AWAY = " MongoDB does not answer, so sessions newer than the export are missing."
