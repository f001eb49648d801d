"""`/compare`: two periods, projects or models side by side."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from datasette.utils.asgi import Response

from cclake_web import formatting
from cclake_web.charts.svg import Chart, Series, lines
from cclake_web.data import dashboard as numbers
from cclake_web.data import over_time
from cclake_web.data.filters import CHOICES, Filters
from cclake_web.data.over_time import Day, Done
from cclake_web.data.periods import DEFAULT, PRESETS, Period, period
from cclake_web.data.quarters import chosen
from cclake_web.export import Export
from cclake_web.pages.dashboard import days_in_use, presets
from cclake_web.pages.panels import Panel, axis_money
from cclake_web.pages.sessions import MOST, choices
from cclake_web.pages.web import Visit, view

SIDES = ("a", "b")
FIELDS = (*CHOICES, "since", "until")
ROWS = 12  # of a list
LONGEST = 3660  # of more days only those between the first and last in use are drawn
DAYS = 100  # a side with more days is summed up by week


@dataclass
class Side:
    """One of the two selections.

    Attributes:
        name: What it is called in the tables.
        filters: The selection, within its days.
        period: These days.
        days: The sums of its days.
        found: Its other sums.
    """

    name: str
    filters: Filters
    period: Period
    days: dict[date, Done]
    found: "Found"


@dataclass(frozen=True)
class Found:
    """The sums of a side: all, by model, by project and by tool."""

    total: Day
    sessions: int
    models: dict[str, float]
    projects: dict[str, float]
    tools: dict[str, float]
    calls: int
    errors: int


@view
async def compare_page(visit: Visit) -> Response:
    """Return two selections side by side."""
    asked = [side_filters(visit, side) for side in SIDES]
    name = visit.args.get("period", "")
    name = name if name in PRESETS else DEFAULT

    def answer(connection: sqlite3.Connection) -> Response:
        known = choices(connection, visit)
        names = {one: {v: text for v, text, _ in known[one]} for one in CHOICES}
        days = [days_in_use(connection, visit.export, one) for one in asked]
        shown = periods(name, asked, days, visit.today)
        sides = [
            _side(connection, visit.export, *each)
            for each in zip(asked, shown, days, strict=True)
        ]
        for side, called in zip(sides, titles(sides, names), strict=True):
            side.name = called
        return visit.page(
            "compare.html",
            sides=sides,
            now={
                f"{side}_{field}": getattr(one, field)
                for side, one in zip(SIDES, asked, strict=True)
                for field in FIELDS
            },
            presets=presets(days[0], visit.today),
            period="" if any(one.since or one.until for one in asked) else name,
            kept=kept(asked),
            choices=known,
            measures=measures(*sides),
            chart=added_up(sides),
            lists=_lists(sides, names["model"], _project_names(connection)),
        )

    return await visit.export.read(answer, limit_ms=60_000)


def side_filters(visit: Visit, side: str) -> Filters:
    """Return the selection of a side: its own choices, else the shared ones."""
    args = visit.args
    own = {name: args[f"{side}_{name}"] for name in FIELDS if f"{side}_{name}" in args}
    return Filters.from_args(
        {name: args.get(name, "") for name in CHOICES} | own, visit.zone, visit.rules
    )


def periods(
    name: str, asked: Sequence[Filters], days: Sequence[dict[date, Done]], today: date
) -> list[Period]:
    """Return the days of both sides.

    Selections that differ only in their days are compared with the days before; two
    projects or models are compared on the same days.
    """
    both = {**days[0], **days[1]}
    found = [
        period(
            name, one.since, one.until, own if one.since or one.until else both, today
        )
        for one, own in zip(asked, days, strict=True)
    ]
    same = replace(asked[0], since="", until="") == replace(
        asked[1], since="", until=""
    )
    if same and not (asked[1].since or asked[1].until):
        found[1] = found[0].before() or found[1]
    return found


def kept(asked: Sequence[Filters]) -> str:
    """Return the choices of both sides, without dates, as a query string."""
    pairs = {
        f"{side}_{name}": getattr(one, name)
        for side, one in zip(SIDES, asked, strict=True)
        for name in CHOICES
    }
    return Filters().query(**pairs)


def _side(
    connection: sqlite3.Connection,
    export: Export,
    asked: Filters,
    shown: Period,
    days: dict[date, Done],
) -> Side:
    filters = shown.of(asked)
    found = export.keep(
        "compared", MOST, (filters, filters.zone), lambda: _found(connection, filters)
    )
    low, high = filters.since, filters.until or "9999"
    own = {day: one for day, one in days.items() if low <= day.isoformat() <= high}
    return Side("", filters, shown, own, found)


def _found(connection: sqlite3.Connection, filters: Filters) -> Found:
    where, values = chosen(filters)
    sql = f"select count(distinct session_id) from agg_response_quarters where {where}"
    (sessions,) = connection.execute(sql, values).fetchone()
    by_model = connection.execute(
        f"""select coalesce(model, ''), sum(cost_usd) from agg_response_quarters
        where {where} group by 1""",
        values,
    )
    calls = numbers.calls(connection, filters)
    return Found(
        total=over_time.total(connection, filters),
        sessions=sessions,
        models={model: cost or 0.0 for model, cost in by_model},
        projects={
            one["project"] or "": one["cost"] or 0.0
            for one in numbers.projects(connection, filters)
        },
        tools={one["tool"] or "?": float(one["calls"]) for one in calls.tools},
        calls=sum(one["calls"] for one in calls.tools),
        errors=sum(one["errors"] for one in calls.tools),
    )


def titles(sides: Sequence[Side], names: Mapping[str, dict[str, str]]) -> list[str]:
    """Return titles that distinguish the sides: their days, or their choices."""
    one, other = (side.filters for side in sides)
    differ = [name for name in CHOICES if getattr(one, name) != getattr(other, name)]
    found = []
    for side in sides:
        values = [(name, getattr(side.filters, name)) for name in differ]
        parts = [
            names[name].get(value) or value if value else f"all {name}s"
            for name, value in values
        ]
        if not differ or sides[0].period != sides[1].period:
            parts.append(str(side.period))
        found.append(formatting.one_line(", ".join(parts), 60))
    return found if found[0] != found[1] else [f"{found[0]} (1)", f"{found[1]} (2)"]


Measure = tuple[str, str, str, str]


def measures(one: Side, other: Side) -> list[Measure]:
    """Return rows: a name, both values, and the change against the second."""
    a, b = one.found, other.found
    pairs: tuple[tuple[str, float, float, Callable[[float], str]], ...] = (
        ("Cost", a.total.cost, b.total.cost, formatting.money),
        ("Cost of a day in use", *_each(one, other, lambda s: len(s.days)),
         formatting.money),
        ("Cost of a response", *_each(one, other, lambda s: s.found.total.responses),
         formatting.money),
        ("Days in use", len(one.days), len(other.days), formatting.count),
        ("Sessions", a.sessions, b.sessions, formatting.count),
        ("Responses", a.total.responses, b.total.responses, formatting.count),
        ("Output tokens", a.total.output, b.total.output, formatting.count),
        ("Input tokens", a.total.context, b.total.context, formatting.count),
        ("Tool calls", a.calls, b.calls, formatting.count),
    )  # fmt: skip
    shares = (
        ("From the cache", a.total.cached, b.total.cached),
        ("Cost by subagents", a.total.delegated, b.total.delegated),
        ("Failed calls", _share(a), _share(b)),
    )
    known = a.total.responses and b.total.responses
    return [
        (name, number(x), number(y), formatting.change(x, y))
        for name, x, y, number in pairs
    ] + [
        (
            name,
            f"{x * 100:.1f}%",
            f"{y * 100:.1f}%",
            formatting.points(x, y) if known else "",
        )
        for name, x, y in shares
    ]


def _each(one: Side, other: Side, of: Callable[[Side], int]) -> tuple[float, float]:
    x, y = (side.found.total.cost / max(of(side), 1) for side in (one, other))
    return x, y


def _share(found: Found) -> float:
    return found.errors / found.calls if found.calls else 0.0


def added_up(sides: Sequence[Side]) -> Panel | None:
    """Return the cumulative cost of both sides, day by day."""
    if not any(side.days for side in sides):
        return None
    spans = [_span(side) for side in sides]
    length = max(len(span) for span in spans)
    step = 7 if length > DAYS else 1
    places = range(0, length, step)
    series = []
    for number, (side, span) in enumerate(zip(sides, spans, strict=True), 1):
        costs = [side.days[day].cost if day in side.days else 0.0 for day in span]
        total = list(accumulate(costs))
        values = [
            total[min(at + step, len(total)) - 1] if at < len(total) else -1.0
            for at in places
        ]
        series.append(Series(side.name, values, number))
    longest = max(spans, key=len)
    same = spans[0] == spans[1]
    dates = [f"{longest[at]:%-d %b}" for at in places]
    names = dates if same else [f"Day {min(at + step, length)}" for at in places]
    chart = Chart(
        "week" if step > 1 else "day", [longest[at] for at in places], series,
        axis_money, names=names,
    )  # fmt: skip
    rows = [
        (
            name,
            *(
                formatting.money(one.values[n]) if one.values[n] >= 0 else "–"
                for one in series
            ),
        )
        for n, name in enumerate(names)
    ]
    return Panel(
        "Cost, added up", lines(chart), ("Day", *(one.name for one in series)), rows,
        legend=[(one.name, one.colour) for one in series],
    )  # fmt: skip


def _span(side: Side) -> list[date]:
    """Return all days of a side up to its last one."""
    used = sorted(side.days)
    first = side.period.first or (used[0] if used else None)
    last = side.period.last or (used[-1] if used else None)
    if first is None or last is None:
        return []
    if (last - first).days > LONGEST:
        first, last = (used[0], used[-1]) if used else (last, last)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _lists(
    sides: Sequence[Side], models: dict[str, str], projects: dict[str, str]
) -> list[dict[str, Any]]:
    kinds: tuple[tuple[str, str, Callable[[str], str], Callable[[float], str]], ...] = (
        ("Models", "models",
         lambda m: models.get(m) or formatting.model_name(m) or "unknown",
         formatting.money),
        ("Projects", "projects", lambda p: projects.get(p) or p or "no project",
         formatting.money),
        ("Tools, calls", "tools", lambda t: t, formatting.count),
    )  # fmt: skip
    found = []
    for title, name, called, number in kinds:
        one, other = (getattr(side.found, name) for side in sides)
        keys = sorted(
            {*one, *other}, key=lambda k: -max(one.get(k, 0), other.get(k, 0))
        )
        rows = [
            {
                "name": called(key), "one": number(one.get(key, 0.0)),
                "other": number(other.get(key, 0.0)),
                "change": formatting.change(one.get(key, 0.0), other.get(key, 0.0)),
            }
            for key in keys[:ROWS]
        ]  # fmt: skip
        found.append({"title": title, "rows": rows})
    return found


def _project_names(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(
        map(
            tuple,
            connection.execute("select project_key, project_name from dim_projects"),
        )
    )
