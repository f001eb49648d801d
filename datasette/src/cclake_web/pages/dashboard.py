"""`/dashboard`: where time, tokens and money went."""

import sqlite3
from typing import Any
from urllib.parse import urlencode

from datasette.utils.asgi import Response

from cclake_web.data import dashboard as numbers
from cclake_web.data import overtime, rollup
from cclake_web.data.calendar import calendar
from cclake_web.data.filters import Filters
from cclake_web.export import NAME, Export
from cclake_web.pages.panels import panels
from cclake_web.pages.queries import QUERIES, sql_of
from cclake_web.pages.sessions import choices
from cclake_web.pages.web import Visit, view
from cclake_web.pages.year import year
from cclake_web.permissions import may_reveal


@view
async def dashboard_page(visit: Visit) -> Response:
    """All charts of a selection."""
    filters = Filters.from_args(visit.args, visit.zone)
    # Who may not reveal may not run SQL either, but the questions that are given.
    free = await may_reveal(visit.datasette, visit.request.actor)

    def answer(connection: sqlite3.Connection) -> Response:
        known = choices(connection, visit.export)
        found = gathered(visit.export, filters)
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


def gathered(export: Export, filters: Filters) -> dict[str, Any]:
    """All numbers of a selection, drawn; read once per publication."""

    def gather(sums: sqlite3.Connection) -> dict[str, Any]:
        span = overtime.span(sums, filters)
        hours = numbers.heat(sums, filters)
        calls = numbers.calls(sums, filters)
        days = calendar(sums, filters)
        return {
            "panels": panels(span, hours, filters) if span else [],
            "year": year(days, filters) if days else None,
            "total": span.total if span else None,
            "models": span.models if span else [],
            "blocks": numbers.blocks(sums, filters),
            "projects": numbers.projects(sums, filters),
            "tools": calls.tools,
            "errors": calls.errors,
            "names": dict(map(tuple, sums.execute(_NAMES))),
        }

    return rollup.kept(export, ("dashboard", filters, filters.zone), gather)


_CALLED = ("model", "project")
_NAMES = "select project_key, project_name from dim_projects"


def sql_link(sql: str) -> str:
    """Where a query can be read, changed and run."""
    return f"/conversations?{urlencode({'sql': sql})}"
