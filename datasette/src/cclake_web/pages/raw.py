"""`/raw/<doc_id>`: a line of a log as it was written."""

import asyncio
import re
import sqlite3
from typing import Any

import orjson
from cclake_archive.client import Document
from cclake_archive.json_text import dumps, loads
from cclake_archive.live.lines import Unreachable
from cclake_common.masking import mask
from datasette.utils.asgi import Response
from markupsafe import Markup

from cclake_web.masking import mask_json
from cclake_web.pages.web import Visit, message, view
from cclake_web.render.code import colour, lexer_named
from cclake_web.render.safe import plain, visible

LONGEST = 2_000_000  # characters that the page shows
# The session that the name of a log file, or of its folder, states.
_FILE = re.compile(
    r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.jsonl$|/)", re.IGNORECASE
)
_SHOWN = ("sourceFile", "host", "projectId", "sessionId", "type", "uuid", "error")


@view
async def raw_page(visit: Visit) -> Response:
    """Return the line with its place in the archive; `?plain=1` gives it as text."""
    doc_id = visit.part("doc_id")
    reveal = await visit.reveals()
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(None, visit.state.lines.line, doc_id)
    except Unreachable:
        return message(visit.request, 503, "MongoDB does not answer", _AWAY)
    if found is None:
        return message(visit.request, 404, "No such line", _MISSING)
    document, line = found
    if not await may_read_line(visit, document, line):
        return message(visit.request, 404, "No such line", _MISSING)
    text = line.decode("utf-8", "replace")
    text = text if reveal else mask_json(text)
    if visit.args.get("plain") == "1":
        return Response.text(text)
    return visit.page(
        "raw.html",
        doc_id=doc_id,
        facts=_facts(document, len(line)),
        html=_pretty(text),
        masked=not reveal,
        session=document.get("sessionId") or "",
        cut=len(text) > LONGEST,
    )


async def may_read_line(visit: Visit, document: Document, line: bytes) -> bool:
    """Return whether a visitor may read a line as it was written.

    Those who may not read everything may read it if they may read each session that it
    names: as its own, as that of its file, and as the one that it was copied from.
    """
    if visit.is_whole:
        return True
    entry = loads(line)
    copied = entry.get("forkedFrom") if isinstance(entry, dict) else None
    copied = copied.get("sessionId") if isinstance(copied, dict) else None
    own = entry.get("sessionId") if isinstance(entry, dict) else None
    file = _FILE.findall(str(document.get("sourceFile") or ""))
    named = {*filter(None, (document.get("sessionId"), own, copied, *file[:1]))}
    overlay = await visit.live()

    def find(connection: sqlite3.Connection) -> bool:
        sql = "select 1 from dim_sessions where session_id = ?"
        with overlay.over(connection) as tables:
            places = [connection, *([tables.connection] if tables else [])]
            return bool(named) and all(
                any(place.execute(sql, (str(one),)).fetchone() for place in places)
                for one in named
            )

    return await visit.export.read(find)


def _facts(document: Document, size: int) -> list[tuple[str, str]]:
    facts = [(name, document.get(name)) for name in _SHOWN]
    source: dict[str, Any] = document.get("source") or {}
    facts += [
        ("place", f"byte {source.get('off', 0):,}, generation {source.get('gen', 0)}"),
        ("size", f"{size:,} bytes"),
        ("read", document.get("ingestedAt")),
    ]
    return [(name, visible(mask(str(value)))) for name, value in facts if value]


def _pretty(text: str) -> Markup:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return plain(text[:LONGEST])
    return colour(dumps(value, indent=True)[:LONGEST], lexer_named("json"))


_AWAY = Markup(
    "The lines themselves are kept in MongoDB, which can't be reached now. "
    "Conversations, search and the dashboard do not need it. "
    "<code>just status</code> shows whether it runs."
)
_MISSING = "MongoDB has no line with this ID."
