"""`/keep` and `/export/kept.json`: stars, labels and notes."""

import sqlite3
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from cclake_archive.json_text import dumps
from cclake_common.failure import Failure
from cclake_common.kept import LONGEST_KEY, LONGEST_NOTE, Kept, labels_of
from cclake_common.masking import mask
from datasette.utils.asgi import Response

from cclake_web.data import sessions
from cclake_web.data.filters import Filters
from cclake_web.formatting import title
from cclake_web.kept import labels, record
from cclake_web.pages.web import Visit, message, view

_MISSING = "The archive has no such session or message."


@view
async def keep_page(visit: Visit) -> Response:
    """Show the form for a star, labels and a note; save what it sends."""
    is_sent = visit.request.method == "POST"
    given = await visit.request.post_vars() if is_sent else visit.args
    session_id = given.get("session", "")[:LONGEST_KEY]
    entry_key = given.get("entry", "")[:LONGEST_KEY]
    named = await _named(visit, session_id, entry_key)
    if named is None:
        return message(visit.request, 404, "Nothing to keep", _MISSING)
    listed = Filters.from_args(dict(parse_qsl(given.get("list", ""))), visit.zone)
    try:
        if not is_sent:
            known = visit.store.of_session(session_id).get(entry_key)
            return visit.page(
                "keep.html",
                session_id=session_id,
                entry_key=entry_key,
                named=mask(named),
                kept=known or Kept(session_id, entry_key),
                listed=listed.query(),
                labels=labels(visit.kept()),
                place=_place(session_id, entry_key, listed),
            )
        visit.store.change(session_id, entry_key, **_changes(given))
    except Failure as failure:
        return message(visit.request, 503, "This can't be kept now", str(failure))
    if visit.request.headers.get("accept") == "application/json":  # the script asks
        return Response("", status=204)
    return Response.redirect(_place(session_id, entry_key, listed), status=303)


def _changes(given: dict[str, str]) -> dict[str, Any]:
    """Return what a form changes: the star alone, or everything."""
    changes: dict[str, Any] = {"starred": given.get("starred") == "1"}
    if "note" in given:
        note = given["note"].replace("\r\n", "\n").strip()[:LONGEST_NOTE]
        changes |= {"note": note, "labels": labels_of(given.get("labels", ""))}
    return changes


async def _named(visit: Visit, session_id: str, entry_key: str) -> str | None:
    """Return the title of a session that exists, and has the entry."""
    overlay = await visit.live()

    def find(connection: sqlite3.Connection) -> str | None:
        with overlay.over(connection) as tables:
            places = [connection, *([tables.connection] if tables else [])]
            row = _first(places, session_id)
            if row is None or (entry_key and not _has(places, session_id, entry_key)):
                return None
            return title(row)

    return await visit.export.read(find)


def _first(places: list[sqlite3.Connection], session_id: str) -> sessions.Row | None:
    found = (sessions.one(place, session_id) for place in places)
    return next(filter(None, found), None)


def _has(places: list[sqlite3.Connection], session_id: str, entry_key: str) -> bool:
    sql = "select 1 from thread_entries where session_id = ? and entry_key = ?"
    given = (session_id, entry_key)
    return any(place.execute(sql, given).fetchone() for place in places)


def _place(session_id: str, entry_key: str, listed: Filters) -> str:
    """Return the address of a session, or of a message in it."""
    at = urlencode({"at": entry_key}) if entry_key else ""
    query = "&".join(filter(None, (at, listed.query())))
    place = f"/session/{quote(session_id, safe='')}" + (f"?{query}" if query else "")
    return place + (f"#e-{quote(entry_key, safe='')}" if entry_key else "")


@view
async def kept_export(visit: Visit) -> Response:
    """Return everything that is kept as JSON."""
    reveal = await visit.reveals()
    records = [record(one, reveal) for one in visit.kept()]
    headers = {
        "content-disposition": 'attachment; filename="cclake-kept.json"',
        "cache-control": "no-store",
    }
    return Response(dumps(records), headers=headers, content_type="application/json")
