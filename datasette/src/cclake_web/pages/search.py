"""`/search`: find what was said, and where."""

import re
import sqlite3
from itertools import groupby
from operator import itemgetter
from typing import Any

from cclake_common.masking import mask
from datasette.utils.asgi import Response
from markupsafe import Markup

from cclake_web.data.filters import Filters
from cclake_web.data.search import CLOSE, KINDS, OPEN, PAGE, Question, hits, question
from cclake_web.fmt import title
from cclake_web.pages.sessions import choices
from cclake_web.pages.web import Visit, view
from cclake_web.render.safe import plain

LIMIT_MS = 4000
_MARKS = re.compile(r"\*{2,3}|`{1,3}|\s*\n\s*(?=\n)|^#+ ", re.MULTILINE)

AROUND = 120  # characters beside a hit where secrets are masked


@view
async def search_page(visit: Visit) -> Response:
    """Hits of a question within a selection."""
    args = visit.args
    filters = Filters.from_args(args, visit.zone)
    asked = question(filters.q)
    kinds = [kind for kind in KINDS if args.get(kind) == "1"] or ["text"]
    best = args.get("order") == "best"
    start = args.get("start", "")
    offset = int(start) if start.isdecimal() and len(start) < 6 else 0

    def answer(connection: sqlite3.Connection) -> Response:
        rows, loose = _find(connection, asked, kinds, filters, best, offset)
        return visit.page(
            "search.html",
            filters=filters,
            asked=asked,
            kinds=kinds,
            all_kinds=KINDS,
            best=best,
            loose=loose,
            offset=offset,
            more=len(rows) > PAGE,
            following=offset + PAGE,
            groups=_groups([_shown(row) for row in rows[:PAGE]]),
            choices=choices(connection, visit.export),
            switches={kind: "1" for kind in kinds if kinds != ["text"]}
            | ({"order": "best"} if best else {}),
        )

    return await visit.export.read(answer, limit_ms=LIMIT_MS)


def _find(
    connection: sqlite3.Connection,
    asked: Question,
    kinds: list[str],
    filters: Filters,
    best: bool,
    offset: int,
) -> tuple[list[dict[str, Any]], bool]:
    """Hits with all words; where there is none, the best ones with any of them."""
    if not asked.match:
        return [], False
    rows = hits(connection, asked.match, kinds, filters, best=best, offset=offset)
    if rows or asked.match == asked.loose:
        return rows, False
    found = hits(connection, asked.loose, kinds, filters, best=True, offset=offset)
    return found, bool(found)


def _groups(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Hits of one session that follow each other stand together."""
    return [list(some) for _, some in groupby(rows, key=itemgetter("session_id"))]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    # Secrets are searched for in the whole text: of one that an excerpt cuts, no rule
    # knows the rest.
    whole = row.pop("text") or ""
    masked = mask(whole)
    text = row["snippet"] or ""
    shown = plain(_MARKS.sub("", text if masked == whole else _excerpt(text, masked)))
    html = shown.replace(OPEN, Markup("<mark>")).replace(CLOSE, Markup("</mark>"))
    return row | {"html": html, "title": mask(title(row))}


def _excerpt(snippet: str, text: str) -> str:
    """What is around the first hit that a masked text still has, else its beginning."""
    for part in snippet.split(OPEN)[1:]:
        word = part.partition(CLOSE)[0]
        before, found, after = text.partition(word)
        if found:
            start = "…" if len(before) > AROUND else ""
            return f"{start}{before[-AROUND:]}{OPEN}{word}{CLOSE}{after[:AROUND]}…"
    return text[: 2 * AROUND]
