"""`/dashboard`: where time, tokens and money went."""

import sqlite3
from typing import Any
from urllib.parse import urlencode

from datasette.utils.asgi import Response

from cclake_web.data import dashboard as numbers
from cclake_web.data import overtime
from cclake_web.data.calendar import calendar
from cclake_web.data.filters import Filters
from cclake_web.export import NAME
from cclake_web.pages.panels import panels
from cclake_web.pages.queries import QUERIES, sql_of
from cclake_web.pages.sessions import MOST, choices
from cclake_web.pages.web import Visit, view
from cclake_web.pages.year import year
from cclake_web.permissions import may_reveal


@view
async def dashboard_page(visit: Visit) -> Response:
    """Return all charts of a selection."""
    filters = Filters.from_args(visit.args, visit.zone)
    # Who may not reveal may not run SQL either, but the questions that are given.
    free = await may_reveal(visit.datasette, visit.request.actor)

    def answer(connection: sqlite3.Connection) -> Response:
        known = choices(connection, visit.export)
        found = visit.export.keep(
            "dashboards", MOST, (filters, filters.zone),
            lambda: gathered(connection, filters),
        )  # fmt: skip
        called = {name: {one[0]: one[1] for one in known[name]} for name in _CALLED}
        return visit.page(
            "dashboard.html",
            filters=filters,
            choices=known,
            called=called["model"],
            queries={
                name: sql_link(sql_of(name, filters)) if free else f"/{NAME}/{name}"
                for name in QUERIES
            },
            **found | {"names": found["names"] | called["project"]},
        )

    return await visit.export.read(answer, limit_ms=60_000)


def gathered(connection: sqlite3.Connection, filters: Filters) -> dict[str, Any]:
    """Return all numbers of a selection, drawn."""
    days = overtime.days(connection, filters)
    span = overtime.span(connection, filters, days)
    calls = numbers.calls(connection, filters)
    shown = calendar(days, filters)
    return {
        "panels": panels(span, numbers.heat(connection, filters), filters)
        if span
        else [],
        "year": year(shown, filters) if shown else None,
        "total": span.total if span else None,
        "models": span.models if span else [],
        "blocks": numbers.blocks(connection, filters),
        "projects": numbers.projects(connection, filters),
        "tools": calls.tools,
        "errors": calls.errors,
        "names": dict(map(tuple, connection.execute(_NAMES))),
    }


_CALLED = ("model", "project")
_NAMES = "select project_key, project_name from dim_projects"


def sql_link(sql: str) -> str:
    """Return where a query can be read, changed and run."""
    return f"/conversations?{urlencode({'sql': sql})}"
