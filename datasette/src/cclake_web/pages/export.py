"""`/session/<id>/export.<format>` and `/export/<what>.<format>`: files to keep.

They are streamed in batches: a selection has no limit.
"""

import base64
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Any

from cclake_common.kept import Kept
from datasette.utils.asgi import AsgiStream, Response
from markupsafe import Markup

from cclake_web.data import sessions
from cclake_web.data.blocks import Entry
from cclake_web.data.filters import Filters
from cclake_web.downloads import markdown
from cclake_web.downloads.records import (
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    csv_text,
    entries_after,
    flat,
    kept_record,
    line,
    message_record,
    session_record,
)
from cclake_web.kept import masked
from cclake_web.pages.files import IMAGES
from cclake_web.pages.web import Visit, asset, environment, message, view
from cclake_web.render.cards import keep
from cclake_web.thread_page import load_whole

TYPES = {
    "json": "application/json; charset=utf-8",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
STYLES = ("theme.css", "web.css")
Chunks = AsyncIterator[str]
Keeps = dict[str, dict[str, Kept]]
_MISSING = "A session can be exported once a pipeline run has published it."
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]")

STYLES = ("theme.css", "web.css")


@view
async def session_export(visit: Visit) -> Any:
    """Return one session's thread as a file."""
    session_id, kind = visit.part("session_id"), visit.part("format")
    reveal = await visit.reveals()
    session = await visit.export.read(sessions.one, session_id)
    if session is None:
        return message(visit.request, 404, "Nothing to export", _MISSING)
    kept = _kept(visit, reveal)
    session |= kept_record(kept.get(session_id, {}).get(""))
    session |= session_record(session, reveal)
    if kind == "html":
        return await _standalone(visit, session_id, reveal, kept.get(session_id, {}))
    chunks = _messages(visit, [session], kind, reveal, kept)
    return _stream(visit, session_id, kind, chunks)


@view
async def selection_export(visit: Visit) -> Any:
    """Return the sessions of a selection, or all their messages, as a file."""
    what, kind = visit.part("what"), visit.part("format")
    reveal = await visit.reveals()
    filters = visit.filters()
    rows = await visit.export.read(_selected, filters, limit_ms=60_000)
    kept = _kept(visit, reveal)
    for row in rows:
        row |= kept_record(kept.get(row["session_id"], {}).get(""))
        row |= session_record(row, reveal)
    if what == "sessions":
        return _stream(visit, what, kind, _sessions(rows, kind, reveal))
    return _stream(visit, what, kind, _messages(visit, rows, kind, reveal, kept))


def _kept(visit: Visit, reveal: bool) -> Keeps:
    """Return what is kept, by session and then by entry."""
    found: Keeps = {}
    for one in visit.kept():
        shown = one if reveal else masked(one)
        found.setdefault(one.session_id, {})[one.entry_key] = shown
    return found


def _selected(connection: sqlite3.Connection, filters: Filters) -> list[sessions.Row]:
    found: list[sessions.Row] = []
    after = ""
    while True:
        rows, after = sessions.page(connection, filters, after)
        found += rows
        if not after:
            return found


async def _sessions(rows: list[sessions.Row], kind: str, reveal: bool) -> Chunks:
    records = [session_record(row, reveal) for row in rows]
    if kind == "csv":
        yield csv_text(records, SESSION_COLUMNS, head=True)
    elif kind == "md":
        for row in rows:
            yield markdown.head(row) + "\n"
    else:
        async for text in _json(_each([records]), kind):
            yield text


async def _messages(
    visit: Visit, rows: list[sessions.Row], kind: str, reveal: bool, kept: Keeps
) -> Chunks:
    if kind == "md":
        for row in rows:
            yield markdown.head(row)
            async for _, entries in _batches(visit, [row], reveal, kept):
                yield "".join(markdown.body(entries))
            yield "\n"
    elif kind == "csv":
        yield csv_text([], MESSAGE_COLUMNS, head=True)
        async for one, entries in _batches(visit, rows, reveal, kept):
            records = [flat(message_record(one, entry)) for entry in entries]
            yield csv_text(records, MESSAGE_COLUMNS, head=False)
    else:
        async for text in _json(_records(visit, rows, reveal, kept), kind):
            yield text


async def _records(
    visit: Visit, rows: list[sessions.Row], reveal: bool, kept: Keeps
) -> AsyncIterator[list[dict[str, Any]]]:
    async for one, entries in _batches(visit, rows, reveal, kept):
        yield [message_record(one, entry) for entry in entries]


async def _each(
    batches: list[list[dict[str, Any]]],
) -> AsyncIterator[list[dict[str, Any]]]:
    for batch in batches:
        yield batch


async def _json(batches: AsyncIterator[list[dict[str, Any]]], kind: str) -> Chunks:
    """Return records as an array, or one on each line."""
    lines = kind == "jsonl"
    glue = "" if lines else "["
    async for records in batches:
        for record in records:
            yield glue + line(record) + ("\n" if lines else "")
            glue = "" if lines else ",\n"
    if not lines:
        yield "]\n" if glue != "[" else "[]\n"


async def _batches(
    visit: Visit, rows: list[sessions.Row], reveal: bool, kept: Keeps
) -> AsyncIterator[tuple[str, list[Entry]]]:
    async with visit.export.snapshot() as export:
        for row in rows:
            position = -1
            while True:
                entries = await export.read(
                    entries_after, row["session_id"], position, reveal
                )
                if not entries:
                    break
                mine = kept.get(row["session_id"], {})
                for entry in entries:
                    entry.kept = mine.get(entry.key)
                yield row["session_id"], entries
                position = entries[-1].position


def _stream(visit: Visit, name: str, kind: str, chunks: Chunks) -> AsgiStream:
    async def write(writer: Any) -> None:
        async for text in chunks:
            await writer.write(text.encode("utf-8", "replace").decode())

    return AsgiStream(write, headers=_headers(name, kind), content_type=TYPES[kind])


def _headers(name: str, kind: str) -> dict[str, str]:
    # A direction mark in a name from a log could make another file type appear.
    filename = _NO_NAME.sub("_", f"cclake-{name[:120]}.{kind}")
    return {
        "content-disposition": f'attachment; filename="{filename}"',
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; sandbox",
    }


async def _standalone(
    visit: Visit, session_id: str, reveal: bool, kept: dict[str, Kept]
) -> Response:
    """Return the whole thread as one self-contained page."""

    def make(connection: sqlite3.Connection) -> str:
        thread = load_whole(connection, session_id, reveal)
        assert thread is not None
        keep(thread.cards, kept)
        picture: Callable[[str], str] = lambda key: _data_url(connection, key)  # noqa: E731
        template = environment().get_template("standalone.html")
        return template.render(
            thread=thread, s=thread.session, ask=thread.ask, zone=visit.zone,
            css=_styles(), picture=picture, href=None, kept=kept.get(""),
        )  # fmt: skip

    body = await visit.export.read(make, limit_ms=120_000)
    return Response.html(body, headers=_headers(session_id, "html"))


def _data_url(connection: sqlite3.Connection, key: str) -> str:
    sql = "select media_type, data from images join image_data using (image_key)"
    sql += " where image_key = ?"
    row = connection.execute(sql, (key,)).fetchone()
    if row is None or row["media_type"] not in IMAGES:
        return ""
    return f"data:{row['media_type']};base64,{base64.b64encode(row['data']).decode()}"


def _styles() -> Markup:
    return Markup("".join(asset(name)[0].decode() for name in STYLES))
