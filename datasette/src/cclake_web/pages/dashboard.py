"""`/dashboard`: where time, tokens and money went."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from datasette.utils.asgi import Response

from cclake_web.accounts import rules_of
from cclake_web.data import dashboard as numbers
from cclake_web.data import over_time
from cclake_web.data.calendar import calendar
from cclake_web.data.filters import Filters
from cclake_web.data.over_time import Done
from cclake_web.data.periods import DEFAULT, MONTH, PRESETS, Period, period
from cclake_web.export import NAME, Export
from cclake_web.kept import labels
from cclake_web.pages import budgets
from cclake_web.pages.costs import dearest, dearest_misses
from cclake_web.pages.panels import panels
from cclake_web.pages.queries import QUERIES, sql_of
from cclake_web.pages.sessions import MOST, choices
from cclake_web.pages.web import Visit, view
from cclake_web.pages.year import year
from cclake_web.permissions import may_reveal

MOST_IN_SQL = 50  # sessions that the SQL of a chart names


@view
async def dashboard_page(visit: Visit) -> Response:
    """Return all charts of a selection; one without dates is the last 30 days."""
    filters = visit.filters()
    dated, name = filters.since or filters.until, visit.args.get("period", "")
    if not dated and name not in PRESETS:
        return Response.redirect(f"/dashboard?{filters.query(period=DEFAULT)}")
    # Visitors who may not reveal secrets may run canned queries only. An address has no
    # room for very many sessions.
    free = await may_reveal(visit.datasette, visit.request.actor)
    free = free and len(filters.kept) <= MOST_IN_SQL
    is_whole = visit.is_whole

    def answer(connection: sqlite3.Connection) -> Response:
        known = choices(connection, visit)
        days = days_in_use(connection, visit.export, filters)
        shown = period(name, filters.since, filters.until, days, visit.today)
        chosen = shown.of(filters)
        found = visit.export.keep(
            "dashboards", MOST, (chosen, shown, filters.zone),
            lambda: gathered(connection, chosen, shown, days, visit.today),
        )  # fmt: skip
        called = {name: {one[0]: one[1] for one in known[name]} for name in _CALLED}
        return visit.page(
            "dashboard.html",
            asked=filters,
            filters=chosen,
            period=shown,
            presets=presets(days, visit.today),
            choices=known,
            labels=labels(visit.kept()),
            called=called["model"],
            # Budgets are of everything, and SQL is for readers of everything.
            problem=rules_of(visit.state.config.accounts)[1] if is_whole else "",
            budgets=budgets.shown(
                connection, visit.export, visit.state.config, visit.zone
            )
            if is_whole
            else None,
            queries={
                name: sql_link(sql_of(name, chosen)) if free else f"/{NAME}/{name}"
                for name in QUERIES
            }
            if is_whole
            else {},
            **found | {"names": found["names"] | called["project"]},
        )

    return await visit.export.read(answer, limit_ms=60_000)


def days_in_use(
    connection: sqlite3.Connection, export: Export, filters: Filters
) -> dict[date, Done]:
    """Return the sums of all days of a selection, whatever its dates are."""
    whenever = replace(filters, since="", until="")
    key = (whenever, filters.zone)
    return export.keep("days", MOST, key, lambda: over_time.days(connection, whenever))


def presets(days: Mapping[date, Done], today: date) -> dict[str, str]:
    """Return the presets with their labels; a past month is labelled with its name."""
    newest = period(MONTH, "", "", days, today).last
    over = newest and (newest.year, newest.month) != (today.year, today.month)
    return PRESETS | ({MONTH: f"{newest:%B %Y}"} if over else {})


def gathered(
    connection: sqlite3.Connection,
    filters: Filters,
    shown: Period,
    days: Mapping[date, Done],
    today: date,
) -> dict[str, Any]:
    """Return all numbers of a selection, as charts.

    Args:
        connection: Of the export.
        filters: The selection, within the days that are shown.
        shown: These days.
        days: All days of the selection.
        today: The viewer's day.
    """
    drawn = calendar(days, filters, today)
    low, high = filters.since, filters.until or "9999"
    used = [day for day in sorted(days) if low <= day.isoformat() <= high]
    span = over_time.span(connection, filters, used)
    calls = numbers.calls(connection, filters)
    earlier = shown.before()
    return {
        "panels": panels(span, numbers.heat(connection, filters), filters)
        if span
        else [],
        "year": year(drawn, filters) if drawn and drawn.used else None,
        "total": span.total if span else None,
        "earlier": earlier,
        "before": over_time.total(connection, earlier.of(filters)) if earlier else None,
        "models": span.models if span else [],
        "blocks": numbers.blocks(connection, filters),
        "projects": numbers.projects(connection, filters),
        "dearest": (prompts := dearest(connection, filters)),
        "misses": dearest_misses(connection, filters, prompts),
        "tools": calls.tools,
        "errors": calls.errors,
        "names": dict(map(tuple, connection.execute(_NAMES))),
    }


_CALLED = ("model", "project")
_NAMES = "select project_key, project_name from dim_projects"


def sql_link(sql: str) -> str:
    """Return the address at which a query can be read, changed and run."""
    return f"/conversations?{urlencode({'sql': sql})}"
