"""Merge the export with the lines above it for the pages."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cclake_archive.live.tables import Tables

from cclake_web.data import sessions
from cclake_web.data.filters import Filters
from cclake_web.subagents import Ask
from cclake_web.thread_page import Live, Thread, load

# What newer lines change of a published session; its numbers stay.
MOVED = ("ended_at", "wall_s", "git_branch", "claude_version", "models")
Row = dict[str, Any]
PAGE = 40  # hits
NEWER = "n"  # before the offset of hits that are not yet published


@dataclass(frozen=True)
class Selected:
    """The sessions of a selection that have lines above the export.

    Attributes:
        rows: By id, as the list shows them.
        touched: All sessions with newer lines, selected or not.
        fresh: Number of sessions that the export does not have.
    """

    rows: dict[str, Row]
    touched: frozenset[str] = frozenset()
    fresh: int = 0


def selected(
    export: sqlite3.Connection, tables: Tables | None, filters: Filters
) -> Selected:
    """Return the sessions that have newer lines and match a selection."""
    if tables is None:
        return Selected({})
    rows: dict[str, Row] = {}
    for session_id in tables.sessions:
        row = _row(export, tables, session_id)
        if row and not filters.deeper and _matches(row, filters):
            rows[session_id] = row
    fresh = sum(tables.is_new(session_id) for session_id in rows)
    touched = () if filters.deeper else tables.sessions
    return Selected(rows, frozenset(touched), fresh)


def list_page(
    rows: Sequence[Row], following: str, after: str, filters: Filters, live: Selected
) -> list[Row]:
    """Return a page of the list, with the sessions that have newer lines in order.

    Args:
        rows: The page of the export.
        following: The cursor of its next page, "" at the end.
        after: The cursor in the request.
        filters: The selection and its order.
        live: Its sessions with newer lines.
    """

    def place(row: Row) -> sessions.Place:
        return _place(row, filters.sort)

    above, below = _cursor(after, filters.sort), _cursor(following, filters.sort)
    moved = [
        row
        for row in live.rows.values()
        if (above is None or place(row) < above)
        and (below is None or place(row) >= below)
    ]
    kept = [row for row in rows if row["session_id"] not in live.touched]
    return sorted([*kept, *moved], key=place, reverse=True)


def around(
    export: sqlite3.Connection,
    tables: Tables | None,
    filters: Filters,
    session_id: str,
    number: int,
) -> tuple[list[Row], list[Row]]:
    """Return the sessions above and below one in the list, nearest first.

    Args:
        export: The export.
        tables: The lines above it.
        filters: The selection and its order; the session need not belong to it.
        session_id: The session.
        number: Maximum number of sessions on each side.
    """
    is_touched = tables is not None and session_id in tables.sessions
    if tables and is_touched:
        row = _row(export, tables, session_id)
    else:
        row = sessions.one(export, session_id)
    if row is None:
        return [], []
    live = selected(export, tables, filters)
    mine = _place(row, filters.sort)
    above, below = sessions.around(
        export, filters, mine, number, without=live.touched | {session_id}
    )
    for other in live.rows.values():
        if other["session_id"] != session_id:
            (above if _place(other, filters.sort) > mine else below).append(other)
    above.sort(key=lambda row: _place(row, filters.sort))
    below.sort(key=lambda row: _place(row, filters.sort), reverse=True)
    return above[:number], below[:number]


def thread(found: Thread | None, tables: Tables | None, ask: Ask) -> Thread | None:
    """Add newer lines to the end of a thread.

    The first page of newer lines is part of the last page of the export. Return None if
    neither has the session.

    Args:
        found: The page of the export; None if it does not have the session.
        tables: The lines above the export.
        ask: The thread and its page.
    """
    newer = tail(tables, ask)
    if newer is None:
        return found
    older = found.pages if found else []
    shift = len(older) - bool(older and newer.pages)
    pages = older + [
        replace(page, number=page.number + shift)
        for page in newer.pages
        if page.number + shift > len(older)
    ]
    number = _page_number(ask, found, newer, shift, len(pages))
    part = number - shift
    is_last = number >= len(pages)
    shown = None
    if newer.page is None:  # other agents have newer lines
        shown, part = (newer if is_last else None), 1
    elif part > 0:
        is_it = newer.page.number == part
        shown = newer if is_it else tail(tables, replace(ask, page=part))
    frame = found or newer
    return replace(
        frame,
        session=frame.session | {name: newer.session[name] for name in MOVED},
        pages=pages,
        page=pages[number - 1] if pages else None,
        cards=found.cards if found and number <= len(older) else [],
        prompts=(found.prompts if found else [])
        + [replace(one, page=one.page + shift) for one in newer.prompts],
        loose=found.loose if found else [],
        live=live_part(tables, ask, shown, part) if tables and shown else None,
        is_last=is_last,
    )


def _page_number(
    ask: Ask, found: Thread | None, newer: Thread, shift: int, last: int
) -> int:
    """Return the number of the requested page, counted over both."""
    number = ask.page
    if found and found.page and any(mark.key == ask.at for mark in found.marks):
        number = found.page.number
    elif newer.page and any(mark.key == ask.at for mark in newer.marks):
        number = newer.page.number + shift
    return min(max(number, 1), max(last, 1))


def live_part(tables: Tables, ask: Ask, shown: Thread, part: int) -> Live:
    """Return the newer lines for a page and for the stream that continues it."""
    loose = [] if ask.agent else shown.loose
    entries = tables.entries(ask.session_id, ask.agent)
    return Live(shown.cards, loose, part, len(entries))


def tail(tables: Tables | None, ask: Ask, whole: bool = False) -> Thread | None:
    """Read the newer lines of a thread, or return None if there are none.

    Args:
        tables: The lines above the export.
        ask: The thread; its `page` counts pages of newer lines.
        whole: Whether that page includes all later ones.
    """
    if tables is None or ask.session_id not in tables.sessions:
        return None
    return load(tables.connection, ask, lambda _key, make: make(), whole)


def hits_page(
    newer: Sequence[Row] | None, find: Callable[[int], list[Row]], offset: int
) -> tuple[list[Row], str]:
    """Return a page of hits: those above the export first, and the start of the next.

    Args:
        newer: Hits above the export; None on the pages after them.
        find: Returns hits in the export from an offset. Both have one hit more than a
            page if there are more.
        offset: Offset in the hits above the export, or in those of the export.
    """
    if newer is not None and len(newer) > PAGE:
        return list(newer[:PAGE]), f"{NEWER}{offset + PAGE}"
    start = offset if newer is None else 0
    rows = find(start)
    following = str(start + PAGE) if len(rows) > PAGE else ""
    known = {row["entry_key"] for row in rows}
    above = [row for row in newer or () if row["entry_key"] not in known]
    return above + rows[:PAGE], following


def _row(export: sqlite3.Connection, tables: Tables, session_id: str) -> Row | None:
    newer = sessions.one(tables.connection, session_id)
    row = None if tables.is_new(session_id) else sessions.one(export, session_id)
    if row is None or newer is None:
        return newer
    return row | {name: newer[name] for name in MOVED}


def _matches(row: Row, filters: Filters) -> bool:
    """Return whether a session is in a selection, like `Filters.where`."""
    low, high = filters.bounds()
    ended = row["ended_at"] or row["started_at"] or ""
    models = [name.strip() for name in (row["models"] or "").split(",")]
    words = filters.q.lower()
    named = f"{row['title'] or ''}\n{row['first_prompt'] or ''}".lower()
    return (
        (not filters.project or row["project_key"] == filters.project)
        and (not filters.branch or row["git_branch"] == filters.branch)
        and (not filters.host or row["host"] == filters.host)
        and (not filters.account or _is_of_account(row, filters))
        and (not filters.model or filters.model in models)
        and (not low or ended >= low)
        and (not high or (row["started_at"] or "") < high)
        and (not filters.errors or _errors(row) > 0)
        and (not filters.keeps or row["session_id"] in filters.kept)
        and (not words or words in named or row["session_id"] == filters.q)
    )


def _is_of_account(row: Row, filters: Filters) -> bool:
    found = filters.rules.of(row["host"], row["project_path"])
    return found in filters.rules.named(filters.account)


def _errors(row: Row) -> int:
    return (row["tool_errors"] or 0) + (row["api_errors"] or 0)


def _place(row: Row, sort: str) -> sessions.Place:
    return _order(row, sort), row["session_id"]


def _order(row: Row, sort: str) -> str | float:
    if sort == "recent":
        return row["ended_at"] or row["started_at"] or ""
    if sort == "errors":
        return _errors(row)
    if sort == "time":
        active = row["active_s"]
        return float((row["wall_s"] if active is None else active) or 0)
    names = {"cost": "cost_usd", "tokens": "total_tokens", "turns": "turns"}
    return float(row[names[sort]] or 0)


def _cursor(text: str, sort: str) -> tuple[Any, str] | None:
    value, _, last = text.rpartition("~")
    return (sessions._number(value, sort), last) if last else None
