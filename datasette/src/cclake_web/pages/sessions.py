"""The first page: sessions grouped by day."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from datasette.utils.asgi import Response

from cclake_web.charts.timeline import Timeline, timeline
from cclake_web.data import rollup, sessions
from cclake_web.data.filters import SORTS, Filters
from cclake_web.fmt import day, title
from cclake_web.generation import Generation
from cclake_web.masking import mask
from cclake_web.pages.web import Visit, view

MOST_TOTALS = 200  # selections whose sums are kept
RUNNING = timedelta(minutes=5)


def running_since(ago: timedelta = RUNNING) -> str:
    """Sessions with an entry after this moment count as running."""
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def choices(connection: sqlite3.Connection, export: Generation) -> dict[str, Any]:
    """The values of the filters, read once per generation."""
    if "choices" not in export.cache:
        export.cache["choices"] = sessions.choices(connection)
    found: dict[str, Any] = export.cache["choices"]
    return found


def totals(
    connection: sqlite3.Connection, filters: Filters, export: Generation
) -> sessions.Row:
    """The sums of a selection, read once per generation."""
    known: dict[object, sessions.Row] = export.cache.setdefault("totals", {})
    key = (replace(filters, sort="recent"), filters.bounds())
    if key not in known:
        if len(known) > MOST_TOTALS:
            known.clear()
        known[key] = sessions.totals(connection, filters)
    return known[key]


@view
async def sessions_page(visit: Visit) -> Response:
    """`/`: the sessions of a selection."""
    filters = Filters.from_args(visit.args, visit.zone)
    after = visit.args.get("after", "")

    def spoken(sums: sqlite3.Connection) -> Timeline | None:
        return timeline(sums, filters, visit.args.get("by", ""))

    def answer(connection: sqlite3.Connection) -> Response:
        rows, following = sessions.page(connection, filters, after)
        for row in rows:
            row["title"] = mask(title(row))
        return visit.page(
            "sessions.html",
            filters=filters,
            groups=_groups(rows, filters, visit),
            following=following,
            after=after,
            totals=totals(connection, filters, visit.export),
            choices=choices(connection, visit.export),
            chart=rollup.ask(visit.export, spoken),
            running=running_since(),
            sorts={name: label for name, (_, label) in SORTS.items()},
        )

    return await visit.export.read(answer)


def _groups(
    rows: list[sessions.Row], filters: Filters, visit: Visit
) -> list[tuple[str, list[sessions.Row]]]:
    if filters.sort != "recent":
        return [(SORTS[filters.sort][1], rows)] if rows else []

    def of_day(row: sessions.Row) -> str:
        return day(row["ended_at"] or row["started_at"], visit.zone, visit.today)

    return [(name, list(some)) for name, some in groupby(rows, key=of_day)]
