"""`/search`: find what was said, and where."""

import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from cclake_common.masking import mask
from cclake_common.search import (
    CLOSE,
    KINDS,
    NOWHERE,
    OPEN,
    TOOLS,
    Question,
    Scope,
    Within,
    excerpt,
    hits,
    kinds_of,
    question,
    scope,
)
from datasette.utils.asgi import Response
from markupsafe import Markup

from cclake_web.data import file_operations, regexp
from cclake_web.data.filters import Filters
from cclake_web.formatting import title
from cclake_web.kept import labels
from cclake_web.live import merge
from cclake_web.live.merge import NEWER
from cclake_web.live.overlay import Overlay
from cclake_web.pages.sessions import choices
from cclake_web.pages.web import Visit, view
from cclake_web.render.safe import plain

LIMIT_MS = 4000
NEWER_SECONDS = 1.0  # of an expression in lines above the export, after those in it
_MARKS = re.compile(r"\*{2,3}|`{1,3}|\s*\n\s*(?=\n)|^#+ ", re.MULTILINE)

Hit = dict[str, Any]


@view
async def search_page(visit: Visit) -> Response:
    """Return the hits of a question within a selection."""
    args = visit.args
    filters = visit.filters()
    expression, words = regexp.asked(filters.q)
    asked = question(words, visit.zone)
    within = filters.within()._replace(operators=asked.operators)
    chosen = [kind for kind in KINDS if args.get(kind) == "1"] or ["text"]
    kinds = asked.kinds(chosen)
    best = args.get("order") == "best"
    start = args.get("start", "")
    newer = start.startswith(NEWER) or not start
    number = start.removeprefix(NEWER)
    offset = int(number) if number.isdecimal() and len(number) < 6 else 0
    order = {"order": "best"} if best else {}
    overlay = await visit.live()
    if expression:
        return await _by_expression(
            visit, overlay, filters, expression, asked, within, kinds
        )

    def answer(connection: sqlite3.Connection) -> Response:
        where = scope(connection, within)
        # Nothing to count if every kind is searched that could have a hit: counting
        # takes as long as searching.
        is_whole = asked.is_about_calls and set(kinds) >= set(TOOLS)
        counted: dict[str, tuple[dict[str, int], bool]] = {}

        def count(match: str) -> bool:
            """Count the hits by kind; return whether there may be some to show."""
            if is_whole:
                return True
            found, more = counted[match] = kinds_of(connection, match, where)
            return more or not set(kinds).isdisjoint(found)

        def ask(match: str, best: bool) -> tuple[list[Hit], str]:
            def find(place: sqlite3.Connection, where: Scope, start: int) -> list[Hit]:
                return hits(
                    place, match, kinds, where,
                    limit=merge.PAGE + 1, best=best, offset=start,
                    words=asked.words,
                )  # fmt: skip

            above = None
            if newer:
                with overlay.over(connection) as tables:
                    above = []
                    if tables:
                        there = scope(tables.connection, within)
                        above = find(tables.connection, there, offset)
            inside = where if count(match) else NOWHERE
            return merge.hits_page(above, partial(find, connection, inside), offset)

        rows, following, loose = _find(asked, best, ask)
        match = asked.loose if loose else asked.match
        found, more = counted.get(match, ({}, False))
        return visit.page(
            "search.html",
            **_shared(visit, connection, filters, kinds),
            is_empty=asked.is_empty,
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
            files=[] if offset else file_operations.named(connection, filters.q),
            switches={kind: "1" for kind in kinds if kinds != ["text"]} | order,
        )

    return await visit.export.read(answer, limit_ms=LIMIT_MS)


def _shared(
    visit: Visit, connection: sqlite3.Connection, filters: Filters, kinds: list[str]
) -> dict[str, Any]:
    """Return what the page shows of any question."""
    return {
        "filters": filters, "kinds": kinds, "all_kinds": KINDS, "expression": None,
        "choices": choices(connection, visit), "labels": labels(visit.kept()),
    }  # fmt: skip


async def _by_expression(
    visit: Visit,
    overlay: Overlay,
    filters: Filters,
    expression: regexp.Expression,
    asked: Question,
    within: Within,
    kinds: list[str],
) -> Response:
    """Return the hits of a regular expression in the sessions of the filters."""
    start = visit.args.get("start", "")
    below = int(start) if re.fullmatch(r"-?\d{1,18}", start) else None

    def answer(connection: sqlite3.Connection) -> Response:
        find = partial(regexp.find, wanted=expression, match=asked.match, kinds=kinds)
        found = regexp.Found()
        if not expression.error:
            found = find(
                connection, where=scope(connection, within), limit=merge.PAGE,
                below=below,
            )  # fmt: skip
            with overlay.over(connection) as tables:
                if tables and below is None:
                    newer = find(
                        tables.connection, where=scope(tables.connection, within),
                        limit=merge.PAGE, seconds=NEWER_SECONDS,
                    )  # fmt: skip
                    known = {row["entry_key"] for row in found.rows}
                    found.rows[:0] = [
                        row for row in newer.rows if row["entry_key"] not in known
                    ]
        looked_to = found.looked_to
        return visit.page(
            "search.html",
            **_shared(visit, connection, filters, kinds) | {"expression": expression},
            is_empty=False,
            offers=[
                (kind, f"in {name.lower()} as well")
                for kind, name in KINDS.items()
                if kind not in kinds
            ],
            offer_of=lambda kind: dict.fromkeys((*kinds, kind), "1"),
            best=False,
            loose=False,
            offset=below is not None,
            following="" if found.following is None else str(found.following),
            looked_to=looked_to and datetime.fromtimestamp(looked_to, UTC).isoformat(),
            groups=_groups([_shown(row) for row in found.rows]),
            files=[],
            switches={kind: "1" for kind in kinds if kinds != ["text"]},
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
