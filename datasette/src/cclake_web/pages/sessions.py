"""The first page: sessions grouped by day."""

import sqlite3
from collections.abc import Callable, Hashable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any, TypeVar

from cclake_common.kept import Kept
from datasette.utils.asgi import Response

from cclake_web.charts.timeline import UNITS, timeline
from cclake_web.data import sessions
from cclake_web.data.filters import SORTS, Filters
from cclake_web.formatting import day, title
from cclake_web.kept import labels, masked
from cclake_web.live import merge
from cclake_web.masking import mask_names
from cclake_web.pages.web import Visit, view

T = TypeVar("T")
MOST = 100  # answers of each kind that are kept until the next publication
RUNNING = timedelta(minutes=5)


def running_since(ago: timedelta = RUNNING) -> str:
    """Return the time since which an entry makes its session count as running."""
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def choices(connection: sqlite3.Connection, visit: Visit) -> dict[str, Any]:
    """Return the values of the filters, read once per publication."""
    rules = visit.rules
    return visit.export.keep(
        "choices", 1, rules, lambda: sessions.choices(connection, rules)
    )


@view
async def sessions_page(visit: Visit) -> Response:
    """`/`: the sessions of a selection."""
    filters = visit.filters()
    after, by = visit.args.get("after", ""), visit.args.get("by", "")
    export = visit.export
    overlay = await visit.live()

    def answer(connection: sqlite3.Connection) -> Response:
        def keep(kind: str, key: Hashable, make: Callable[[], T]) -> T:
            return export.keep(kind, MOST, (key, filters.zone), make)

        rows, following = keep(
            "sessions", (filters, after), lambda: listed(connection, filters, after)
        )
        with overlay.over(connection) as tables:
            live = merge.selected(connection, tables, filters)
        rows = merge.list_page(rows, following, after, filters, shown(live))
        return visit.page(
            "sessions.html",
            filters=filters,
            groups=_groups(rows, filters, visit.zone, visit.today),
            following=following,
            after=after,
            totals=keep(
                "totals",
                replace(filters, sort="recent"),
                lambda: sessions.totals(connection, filters),
            ),
            fresh=live.fresh,
            choices=choices(connection, visit),
            chart=keep(
                "timelines",
                (filters, by if by in UNITS else ""),
                lambda: timeline(connection, filters, by),
            ),
            running=running_since(),
            keeps=_keeps(visit.kept()),
            labels=labels(visit.kept()),
            sorts={name: label for name, (_, label) in SORTS.items()},
        )

    return await export.read(answer)


def _keeps(kept: list[Kept]) -> dict[str, Kept]:
    """Return what is kept of each session, including its messages."""
    found: dict[str, Kept] = {}
    for one in map(masked, kept):
        so_far = found.get(one.session_id, Kept(one.session_id))
        found[one.session_id] = replace(
            so_far,
            starred=so_far.starred or one.starred,
            labels=tuple(dict.fromkeys((*so_far.labels, *one.labels))),
            note=so_far.note or one.note,
        )
    return found


def listed(
    connection: sqlite3.Connection, filters: Filters, after: str
) -> tuple[list[sessions.Row], str]:
    """Return a page of the list, its titles masked, and the cursor of the next one."""
    rows, following = sessions.page(connection, filters, after)
    return list(map(listed_row, rows)), following


def shown(live: merge.Selected) -> merge.Selected:
    """Return sessions with newer lines as the list shows them."""
    return replace(live, rows={key: listed_row(row) for key, row in live.rows.items()})


def listed_row(row: sessions.Row) -> sessions.Row:
    """Return a session with its title, and with the secrets in its names masked."""
    return mask_names(row | {"title": title(row)}, "session_id", "project_key")


def _groups(
    rows: list[sessions.Row], filters: Filters, zone: tzinfo, today: date
) -> list[tuple[str, list[sessions.Row]]]:
    if filters.sort != "recent":
        return [(SORTS[filters.sort][1], rows)] if rows else []

    def of_day(row: sessions.Row) -> str:
        return day(row["ended_at"] or row["started_at"], zone, today)

    return [(name, list(some)) for name, some in groupby(rows, key=of_day)]
