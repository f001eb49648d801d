"""Serve `/live/<session>`: new lines of a running session, as an event stream.

The stream continues the unpublished lines of a page. It queries MongoDB once a second,
and only while a page of a running session is open.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from cclake_common.kept import Store
from datasette.utils.asgi import Request
from starlette.types import Receive, Send

from cclake_web import shutdown
from cclake_web.kept import of_session
from cclake_web.live import merge
from cclake_web.live.overlay import Overlay
from cclake_web.pages.web import environment, reader_of, zone_of
from cclake_web.permissions import ensure_visible, may_reveal
from cclake_web.render.cards import keep
from cclake_web.state import state_of
from cclake_web.subagents import Ask
from cclake_web.team.rules import is_current
from cclake_web.thread_page import Live

if TYPE_CHECKING:  # Datasette loads its plugins while it is being imported
    from datasette.app import Datasette

EVERY = 1.0  # seconds between two queries
KEEP_ALIVE = 15  # number of queries without new lines after which a comment is sent


@dataclass
class Tail:
    """The unpublished lines on an open page.

    Attributes:
        overlay: The overlay.
        ask: The thread; its `page` is the first page of such lines.
        entries: Number of entries that the page shows.
        keys: Their keys; None before the first query.
    """

    overlay: Overlay
    ask: Ask
    entries: int = 0
    keys: frozenset[str] | None = None
    news: Live | None = field(default=None, init=False)

    def look(self, export: sqlite3.Connection) -> str:
        """Return the next event: `lines`, `published`, or "" for none."""
        with self.overlay.over(export) as tables:
            now = tables.entries(self.ask.session_id, self.ask.agent) if tables else []
            before, self.keys = self.keys, frozenset(now)
            if before is None:
                is_fewer, is_same = len(now) < self.entries, len(now) == self.entries
            else:
                is_fewer, is_same = not before <= self.keys, before == self.keys
            if is_fewer or is_same:
                return "published" if is_fewer else ""
            shown = merge.tail(tables, self.ask, whole=True)
            if tables is None or shown is None:
                return ""
            self.news = merge.live_part(tables, self.ask, shown, self.ask.page)
        return "lines"


async def live_stream(
    request: Request, datasette: Datasette, receive: Receive, send: Send
) -> None:
    """Send `lines` events with the HTML of all unpublished lines."""
    await ensure_visible(datasette, request.actor)
    args = request.args
    reveal = args.get("reveal") == "1" and await may_reveal(datasette, request.actor)
    ask = Ask(
        session_id=unquote(request.url_vars["session_id"]),
        page=_number(args.get("part")) or 1, agent=args.get("agent") or None,
        everything=args.get("all") == "1", reveal=reveal,
    )  # fmt: skip
    await _start(send)
    gone = asyncio.create_task(_disconnected(receive))
    tail = Tail(state_of(datasette).overlay, ask, _number(args.get("seen")))
    try:
        await _follow(request, datasette, tail, gone, send)
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _follow(
    request: Request,
    datasette: Datasette,
    tail: Tail,
    gone: asyncio.Task[None],
    send: Send,
) -> None:
    state, reader = state_of(datasette), reader_of(request)
    export = state.export
    quiet = 0
    while not gone.done() and not shutdown.requested() and export.look():
        if reader and not is_current(state.config.team, reader):
            return  # the rules of the team have changed
        await tail.overlay.look(export)
        event = "away" if tail.overlay.status.away else await export.read(tail.look)
        if event:
            kept = state.kept_of(reader)
            data = _data(request, tail, kept) if event == "lines" else {}
            await _event(send, event, data)
        if event in ("away", "published"):
            return
        quiet = 0 if event else quiet + 1
        if quiet % KEEP_ALIVE == KEEP_ALIVE - 1:
            await send(_chunk(b": still here\n\n"))
        await asyncio.wait({gone}, timeout=EVERY)


def _data(request: Request, tail: Tail, kept: Store) -> dict[str, Any]:
    assert tail.news
    keep(tail.news.cards, of_session(kept, tail.ask.session_id, tail.ask.reveal))
    for card in tail.news.cards:
        card.open = True
    template = environment().get_template("live.html")
    html = template.render(live=tail.news, ask=tail.ask, zone=zone_of(request))
    return {"html": html, "seen": tail.news.entries}


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 8 else 0


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send) -> None:
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send(_chunk(b"retry: 3000\n\n"))


async def _event(send: Send, name: str, data: dict[str, Any]) -> None:
    await send(_chunk(b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))))


def _chunk(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}
