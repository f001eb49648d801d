"""The first page: sessions grouped by day."""

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from datasette.utils.asgi import Response

from cclake_web.charts.timeline import UNITS, Timeline, timeline
from cclake_web.data import rollup, sessions
from cclake_web.data.filters import SORTS, Filters
from cclake_web.export import Export
from cclake_web.fmt import day, title
from cclake_web.live import merge
from cclake_web.masking import mask_names
from cclake_web.pages.web import Visit, view

RUNNING = timedelta(minutes=5)


def running_since(ago: timedelta = RUNNING) -> str:
    """Sessions with an entry after this moment count as running."""
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def choices(connection: sqlite3.Connection, export: Export) -> dict[str, Any]:
    """The values of the filters, read once per publication."""
    return export.keep("choices", 1, "", lambda: sessions.choices(connection))


def totals(filters: Filters, export: Export) -> sessions.Row:
    """The sums of a selection, read once per publication."""
    key = ("totals", replace(filters, sort="recent"), filters.zone)
    kept = rollup.kept if filters.deeper else rollup.kept_list
    return kept(export, key, lambda sums: sessions.totals(sums, filters))


@view
async def sessions_page(visit: Visit) -> Response:
    """`/`: the sessions of a selection."""
    filters = Filters.from_args(visit.args, visit.zone)
    after = visit.args.get("after", "")

    export = visit.export
    overlay = await visit.live()

    def answer(connection: sqlite3.Connection) -> Response:
        rows, following = listed(filters, after, export)
        with overlay.over(connection) as tables:
            live = merge.selected(connection, tables, filters)
        rows = merge.list_page(rows, following, after, filters, shown(live))
        return visit.page(
            "sessions.html",
            filters=filters,
            groups=_groups(rows, filters, visit.zone, visit.today),
            following=following,
            after=after,
            totals=totals(filters, export),
            fresh=live.fresh,
            choices=choices(connection, export),
            chart=chart(filters, visit.args.get("by", ""), export),
            running=running_since(),
            sorts={name: label for name, (_, label) in SORTS.items()},
        )

    return await visit.export.read(answer)


def listed(
    filters: Filters, after: str, export: Export
) -> tuple[list[sessions.Row], str]:
    """A page of the list, its titles masked, and the cursor of the next one."""

    def read(sums: sqlite3.Connection) -> tuple[list[sessions.Row], str]:
        rows, following = sessions.page(sums, filters, after)
        return list(map(_shown, rows)), following

    kept = rollup.kept if filters.deeper else rollup.kept_list
    return kept(export, ("page", filters, filters.zone, after), read)


def shown(live: merge.Selected) -> merge.Selected:
    """Return sessions with newer lines as the list shows them."""
    return replace(live, rows={key: _shown(row) for key, row in live.rows.items()})


def _shown(row: sessions.Row) -> sessions.Row:
    return mask_names(row | {"title": title(row)}, "session_id", "project_key")


def chart(filters: Filters, unit: str, export: Export) -> Timeline | None:
    """The chart above the list; the list does not wait for it."""
    if not rollup.counted(export):
        return None
    key = ("chart", filters, filters.zone, unit if unit in UNITS else "")
    return rollup.kept(export, key, lambda sums: timeline(sums, filters, unit))


def _groups(
    rows: list[sessions.Row], filters: Filters, zone: tzinfo, today: date
) -> list[tuple[str, list[sessions.Row]]]:
    if filters.sort != "recent":
        return [(SORTS[filters.sort][1], rows)] if rows else []

    def of_day(row: sessions.Row) -> str:
        return day(row["ended_at"] or row["started_at"], zone, today)

    return [(name, list(some)) for name, some in groupby(rows, key=of_day)]
