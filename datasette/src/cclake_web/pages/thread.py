"""`/session/<id>`: a conversation."""

import sqlite3
from datetime import timedelta
from functools import partial
from urllib.parse import quote, urlencode

from cclake_common.masking import mask
from datasette.utils.asgi import Response

from cclake_web.fmt import title
from cclake_web.live import merge
from cclake_web.nesting import Ask
from cclake_web.pages.sessions import running_since
from cclake_web.pages.web import Visit, message, view
from cclake_web.threadpage import Thread, agent_at, load

MOST_THREADS = 24  # whose outline is kept
FOLLOWED = timedelta(hours=12)  # a session may resume this long after its end


def ask_of(visit: Visit, reveal: bool) -> Ask:
    """Return what the query string asks for."""
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
        if agent:
            query = urlencode({"agent": agent, "at": ask.at})
            return Response.redirect(
                f"/session/{quote(ask.session_id, safe='')}?{query}"
                f"#e-{quote(ask.at, safe='')}"
            )
        if found is None:
            text = _MISSING + (_AWAY if overlay.status.away else "")
            return message(visit.request, 404, "No such session", text)
        return _inside(visit, found) if inside else _show(visit, found)

    return await visit.export.read(answer)


def _inside(visit: Visit, thread: Thread) -> Response:
    """Return a part of an agent's thread, to be put into its call by the script."""
    return visit.page(
        "inside.html", thread=thread, ask=thread.ask, href=partial(_href, thread.ask)
    )


def _href(ask: Ask, **changes: object) -> str:
    """Return a thread with another page, agent or setting."""
    now = {
        "page": ask.page or "", "agent": ask.agent or "",
        "all": "1" if ask.everything else "", "reveal": "1" if ask.reveal else "",
    } | changes  # fmt: skip
    query = urlencode({k: v for k, v in now.items() if v})
    base = f"/session/{quote(ask.session_id, safe='')}"
    return f"{base}?{query}" if query else base


def _show(visit: Visit, thread: Thread) -> Response:
    ask = thread.ask
    named = title(thread.session)
    ended = thread.session["ended_at"] or ""
    return visit.page(
        "thread.html",
        thread=thread,
        s=thread.session,
        ask=ask,
        href=partial(_href, ask),
        title=named if ask.reveal else mask(named),
        running=ended >= running_since(),
        follow=_stream(thread) if ended >= running_since(FOLLOWED) else "",
    )


def _stream(thread: Thread) -> str:
    """Return the address of what follows a page; "" where other pages do."""
    if not thread.is_last:
        return ""
    ask, live = thread.ask, thread.live
    now = {
        "agent": ask.agent, "all": "1" if ask.everything else "",
        "reveal": "1" if ask.reveal else "", "part": live.part if live else 1,
    }  # fmt: skip
    query = urlencode({name: value for name, value in now.items() if value})
    return f"/live/{quote(ask.session_id, safe='')}?{query}"


_MISSING = "The archive has no message of a session of this name."
_AWAY = " MongoDB does not answer: sessions that began after this export are missing."
