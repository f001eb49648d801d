"""`/dashboard`: where time, tokens and money went."""

import sqlite3
from datetime import date
from typing import Any
from urllib.parse import urlencode

from datasette.utils.asgi import Response

from cclake_web.data import dashboard as numbers
from cclake_web.data import rollup
from cclake_web.data.dashboard import Day
from cclake_web.data.filters import Filters
from cclake_web.pages.panels import panels
from cclake_web.pages.queries import QUERIES
from cclake_web.pages.sessions import choices
from cclake_web.pages.web import Visit, view


@view
async def dashboard_page(visit: Visit) -> Response:
    """All charts of a selection."""
    filters = Filters.from_args(visit.args, visit.zone)

    def gather(sums: sqlite3.Connection) -> dict[str, Any]:
        return {
            "days": numbers.days(sums, filters),
            "hours": numbers.hours(sums, filters),
            "blocks": numbers.blocks(sums, filters),
            "projects": numbers.projects(sums, filters),
            "models": numbers.models(sums, filters),
            "tools": numbers.tools(sums, filters),
            "errors": numbers.errors(sums, filters),
        }

    def answer(connection: sqlite3.Connection) -> Response:
        found = rollup.ask(visit.export, gather)
        names = dict(connection.execute(_NAMES).fetchall())
        return visit.page(
            "dashboard.html",
            filters=filters,
            choices=choices(connection, visit.export),
            panels=panels(found["days"], found["hours"], filters),
            names=names,
            total=_total(found["days"]),
            queries={name: sql_link(sql) for name, sql in QUERIES.items()},
            **found,
        )

    return await visit.export.read(answer, limit_ms=60_000)


_NAMES = "select project_key, project_name from dim_projects"


def sql_link(sql: str) -> str:
    """Where a query can be read, changed and run."""
    return f"/conversations?{urlencode({'sql': sql})}"


def _total(days: dict[date, Day]) -> Day:
    whole = Day()
    for day in days.values():
        for name in ("responses", "final", "unpriced", "input", "output", "written",
                     "read", "cost", "side_cost"):  # fmt: skip
            setattr(whole, name, getattr(whole, name) + getattr(day, name))
    return whole
