"""`/live/<session>`: new lines of a running session, as they are written.

An event stream that looks into MongoDB once a second, and only while a page of
a running session is open.
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from cclake_archive.client import Document
from datasette.utils.asgi import Request

from cclake_web import stopping
from cclake_web.export import Export
from cclake_web.fmt import moment
from cclake_web.guard import Receive, Send
from cclake_web.lines import Lines, Unreachable
from cclake_web.liveentries import calls_among, entries_of
from cclake_web.liveimages import lighten
from cclake_web.nesting import Ask
from cclake_web.pages.web import environment, zone_of
from cclake_web.permissions import ensure_visible
from cclake_web.render.cards import cards_of
from cclake_web.state import state_of

if TYPE_CHECKING:  # it loads its plugins while it is itself imported
    from datasette.app import Datasette

EVERY = 1.0  # seconds between two looks
OVERLAP = timedelta(seconds=20)  # clocks of several shippers differ a little
MOST = 400  # lines of a session that are shown before the pipeline has them
KEEP_ALIVE = 15  # looks without news after which a comment is sent


class Tail:
    """What one open page has been told, and what is new for it."""

    def __init__(self, lines: Lines, session_id: str, since: datetime) -> None:
        self.lines, self.session_id, self.since = lines, session_id, since
        self.known: dict[bytes, datetime] = {}  # what was told of late
        self.shown: list[Document] = []

    def look(self, exported: set[str]) -> bool:
        """Read what came since the last look; whether there was anything.

        Raises:
            Unreachable: MongoDB does not answer.
        """
        begin = self.since - OVERLAP
        self.known = {key: at for key, at in self.known.items() if at >= begin}
        found = self.lines.newer(self.session_id, begin, MOST, list(self.known))
        self.known |= {bytes(one["_id"]): one["ingestedAt"] for one in found}
        new = [one for one in found if bytes(one["_id"]).hex() not in exported]
        self.shown = (self.shown + list(map(lighten, new)))[-MOST:]
        if found:
            self.since = max(self.since, found[-1]["ingestedAt"])
        return bool(new)


async def live_stream(
    request: Request, datasette: Datasette, receive: Receive, send: Send
) -> None:
    """Send `lines` events with the HTML of all lines that the page lacks."""
    await ensure_visible(datasette, request.actor)
    state = state_of(datasette)
    stopping.watch()
    session_id = unquote(request.url_vars["session_id"])
    await _start(send)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        if state.export.look():
            await _follow(request, state.lines, state.export, session_id, gone, send)
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _follow(
    request: Request,
    lines: Lines,
    export: Export,
    session_id: str,
    gone: asyncio.Task[None],
    send: Send,
) -> None:
    shown = await export.export_id()
    since, exported = await export.read(_known, session_id)
    tail = Tail(lines, session_id, since)
    quiet = 0
    while not gone.done() and not stopping.stopping():
        export.look()
        if await export.export_id() != shown:
            await _event(send, "published", {})
            return
        try:
            news = await asyncio.to_thread(tail.look, exported)
        except Unreachable:
            await _event(send, "away", {})
            return
        if news:
            await _event(send, "lines", {"html": _html(request, tail)})
        quiet = 0 if news else quiet + 1
        if quiet % KEEP_ALIVE == KEEP_ALIVE - 1:
            await send(_chunk(b": still here\n\n"))
        await asyncio.wait({gone}, timeout=EVERY)


def _known(
    connection: sqlite3.Connection, session_id: str
) -> tuple[datetime, set[str]]:
    """From when on to look, and the lines that the page has already."""
    row = connection.execute(
        "select max(said_at) from thread_entries where session_id = ?", (session_id,)
    ).fetchone()
    last = moment(row[0]) or moment("1970-01-01T00:00:00Z")
    assert last is not None
    since = last - timedelta(hours=1)
    rows = connection.execute(
        "select doc_id from thread_entries where session_id = ?", (session_id,)
    )
    return since, {doc_id for (doc_id,) in rows if doc_id}


def _html(request: Request, tail: Tail) -> str:
    entries = entries_of(tail.shown)
    calls = calls_among(entries)
    cards = cards_of(entries, calls, nest=lambda call: None)
    for card in cards:
        card.open = True
    template = environment().get_template("live.html")
    return template.render(cards=cards, ask=Ask(tail.session_id), zone=zone_of(request))


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
