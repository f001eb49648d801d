"""`/search`: find what was said, and where."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from cclake_common.masking import mask
from cclake_common.search import (
    CLOSE,
    KINDS,
    OPEN,
    Question,
    excerpt,
    hits,
    kinds_of,
    question,
)
from datasette.utils.asgi import Response
from markupsafe import Markup

from cclake_web.data import file_operations
from cclake_web.data.filters import Filters
from cclake_web.formatting import title
from cclake_web.live import merge
from cclake_web.live.merge import NEWER
from cclake_web.pages.sessions import choices
from cclake_web.pages.web import Visit, view
from cclake_web.render.safe import plain

LIMIT_MS = 4000
_MARKS = re.compile(r"\*{2,3}|`{1,3}|\s*\n\s*(?=\n)|^#+ ", re.MULTILINE)

Hit = dict[str, Any]


@view
async def search_page(visit: Visit) -> Response:
    """Return the hits of a question within a selection."""
    args = visit.args
    filters = Filters.from_args(args, visit.zone)
    asked = question(filters.q, visit.zone)
    within = replace(filters.within(), operators=asked.operators)
    chosen = [kind for kind in KINDS if args.get(kind) == "1"] or ["text"]
    kinds = asked.kinds(chosen)
    best = args.get("order") == "best"
    start = args.get("start", "")
    newer = start.startswith(NEWER) or not start
    number = start.removeprefix(NEWER)
    offset = int(number) if number.isdecimal() and len(number) < 6 else 0
    order = {"order": "best"} if best else {}
    overlay = await visit.live()

    def answer(connection: sqlite3.Connection) -> Response:
        def ask(match: str, best: bool) -> tuple[list[Hit], str]:
            def find(place: sqlite3.Connection, start: int) -> list[Hit]:
                return hits(
                    place, match, kinds, within,
                    limit=merge.PAGE + 1, best=best, offset=start,
                    words=asked.words,
                )  # fmt: skip

            above = None
            if newer:
                with overlay.over(connection) as tables:
                    above = find(tables.connection, offset) if tables else []
            return merge.hits_page(above, partial(find, connection), offset)

        rows, following, loose = _find(asked, best, ask)
        match = asked.loose if loose else asked.match
        found, more = (
            ({}, False) if asked.is_empty else kinds_of(connection, match, within)
        )
        return visit.page(
            "search.html",
            filters=filters,
            asked=asked,
            kinds=kinds,
            all_kinds=KINDS,
            offers=[
                (kind, f"{number}{'+' if more else ''} more in {KINDS[kind].lower()}")
                for kind, number in found.items()
                if kind not in kinds
            ],
            offer_of=lambda kind: dict.fromkeys((*kinds, kind), "1") | order,
            best=best,
            loose=loose,
            offset=offset or not newer,
            following=following,
            groups=_groups([_shown(row) for row in rows]),
            choices=choices(connection, visit.export),
            files=[] if offset else file_operations.named(connection, filters.q),
            switches={kind: "1" for kind in kinds if kinds != ["text"]}
            | ({"order": "best"} if best else {}),
        )

    return await visit.export.read(answer, limit_ms=LIMIT_MS)


def _find(
    asked: Question, best: bool, ask: Callable[[str, bool], tuple[list[Hit], str]]
) -> tuple[list[Hit], str, bool]:
    """Find hits with all words; if there are none, the best with any of them.

    Returns the hits, the start of the next page, and whether any word was enough.
    """
    if asked.is_empty:
        return [], "", False
    rows, following = ask(asked.match, best)
    if rows or asked.match == asked.loose:
        return rows, following, False
    found, following = ask(asked.loose, True)
    return found, following, bool(found)


def _groups(rows: list[Hit]) -> list[list[Hit]]:
    """Group consecutive hits of the same session."""
    return [list(some) for _, some in groupby(rows, key=itemgetter("session_id"))]


def _shown(row: Hit) -> Hit:
    # Mask the whole text first: no rule recognises a secret that an excerpt has cut.
    whole = row.pop("text") or ""
    masked = mask(whole)
    text = row["snippet"] or ""
    shown = plain(_MARKS.sub("", text if masked == whole else excerpt(text, masked)))
    html = shown.replace(OPEN, Markup("<mark>")).replace(CLOSE, Markup("</mark>"))
    return row | {"html": html, "title": mask(title(row))}
