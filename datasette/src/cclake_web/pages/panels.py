"""The charts of the dashboard, each with its table and its SQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup

from cclake_web import formatting
from cclake_web.charts.scale import label
from cclake_web.charts.svg import Chart, Number, Series, bars, heatmap, lines
from cclake_web.data.filters import WEEKDAYS, Filters
from cclake_web.data.labels import of_models
from cclake_web.data.over_time import Day, Span

MODELS = 6  # with a colour of their own; the rest is "other"


@dataclass
class Panel:
    """A chart with its table and its SQL."""

    title: str
    chart: Markup
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    sql: str = ""
    legend: Sequence[tuple[str, int]] = ()
    note: str = ""
    wide: bool = False  # as wide as the page


def panels(span: Span, hours: list[list[int]], filters: Filters) -> list[Panel]:
    """Return all charts over time."""
    unit, starts, line = span.unit, span.starts, span.line
    base = filters.query(since="", until="")

    def href(first: date, end: date) -> str:
        """Return the same selection within one period."""
        last = end - timedelta(days=1)
        since = max(first.isoformat(), filters.since)
        until = min(last.isoformat(), filters.until or "9999")
        return f"/?{base}{'&' if base else ''}since={since}&until={until}"

    def chart(series: list[Series], number: Number) -> Chart:
        return Chart(unit, starts, series, number, href)

    names = [label(start, unit, year=True) for start in starts]
    return [
        _cost(line, names, chart),
        _tokens(line, names, chart),
        _heat(hours, filters),
        _cache(line, names, chart),
        _context(line, names, chart),
        _agents(line, names, chart),
    ]


MakeChart = Callable[[list[Series], Number], Chart]


def _cost(line: list[Day], names: list[str], chart: MakeChart) -> Panel:
    sums: dict[str, float] = {}
    for day in line:
        for model, cost in day.by_model.items():
            sums[model] = sums.get(model, 0.0) + cost
    ranked = [m for m in sorted(sums, key=lambda m: -sums[m]) if sums[m] > 0]
    called = of_models(ranked)
    series = [
        Series(called[model], [day.by_model.get(model, 0.0) for day in line], n)
        for n, model in enumerate(ranked[:MODELS], 1)
    ]
    if ranked[MODELS:]:
        rest = [sum(day.by_model.get(m, 0.0) for m in ranked[MODELS:]) for day in line]
        series.append(Series("other", rest, 8))
    rows = [
        (
            name,
            *(formatting.money(one.values[n]) for one in series),
            formatting.money(line[n].cost),
        )
        for n, name in enumerate(names)
    ]
    return Panel(
        "Cost by model", bars(chart(series, axis_money)),
        ("", *(one.name for one in series), "All"), rows, "cost_by_day_and_model",
        [(one.name, one.colour) for one in series],
    )  # fmt: skip


def _tokens(line: list[Day], names: list[str], chart: MakeChart) -> Panel:
    kinds = (
        ("Cache read", "read", 6), ("Cache written", "written", 3),
        ("Input", "input", 4), ("Output", "output", 2),
    )  # fmt: skip
    series = [
        Series(name, [float(getattr(day, key)) for day in line], n)
        for name, key, n in kinds
    ]
    rows = [
        (name, *(formatting.count(one.values[n]) for one in series))
        for n, name in enumerate(names)
    ]
    return Panel(
        "Tokens by kind", bars(chart(series, formatting.count)),
        ("", *(one.name for one in series)), rows, "tokens_by_day",
        [(one.name, one.colour) for one in series],
    )  # fmt: skip


def _heat(hours: list[list[int]], filters: Filters) -> Panel:
    base = filters.query(slot="")

    def href(slot: int) -> str:
        return f"/?{base}{'&' if base else ''}slot={slot}"

    def number(value: float) -> str:
        return formatting.plural(value, "response")

    drawn = heatmap(hours, WEEKDAYS, number, href)
    rows = [
        (name, *(formatting.count(v) for v in row))
        for name, row in zip(WEEKDAYS, hours, strict=True)
    ]
    head = ("", *(str(hour) for hour in range(24)))
    return Panel("When Claude works, in your time zone", drawn, head, rows, "hours")


def _cache(line: list[Day], names: list[str], chart: MakeChart) -> Panel:
    share = [day.read / day.context if day.context else -1.0 for day in line]
    rows = [
        (name, percent(value) if value >= 0 else "–", formatting.count(day.read))
        for name, value, day in zip(names, share, line, strict=True)
    ]
    drawn = lines(chart([Series("Read from the cache", share, 1)], percent), 1.0)
    return Panel("Cache hit ratio", drawn, ("", "Ratio", "Read"), rows, "cache")


def _context(line: list[Day], names: list[str], chart: MakeChart) -> Panel:
    mean = [day.context / day.responses if day.responses else -1.0 for day in line]
    widest = [float(day.widest) if day.responses else -1.0 for day in line]
    series = [Series("Largest", widest, 3), Series("Mean", mean, 1)]
    rows = [
        (
            name,
            formatting.count(one) if one >= 0 else "–",
            formatting.count(two) if two >= 0 else "–",
        )
        for name, one, two in zip(names, mean, widest, strict=True)
    ]
    return Panel(
        "Context of a response", lines(chart(series, formatting.count)),
        ("", "Mean", "Largest"), rows, "context", [("Largest", 3), ("Mean", 1)],
    )  # fmt: skip


def _agents(line: list[Day], names: list[str], chart: MakeChart) -> Panel:
    side = [day.side_cost for day in line]
    own = [day.cost - day.side_cost for day in line]
    series = [Series("Main thread", own, 1), Series("Subagents", side, 2)]
    rows = [
        (name, formatting.money(a), formatting.money(b))
        for name, a, b in zip(names, own, side, strict=True)
    ]
    return Panel(
        "Subagents' share of the cost", bars(chart(series, axis_money)),
        ("", "Main thread", "Subagents"), rows, "subagents",
        [("Main thread", 1), ("Subagents", 2)],
    )  # fmt: skip


def axis_money(value: float) -> str:
    """Return money for an axis, without cents if there are none."""
    return f"${value:,.0f}" if value == int(value) else formatting.money(value)


def percent(value: float) -> str:
    """Return a share as a percentage."""
    return f"{value * 100:.0f}%"
