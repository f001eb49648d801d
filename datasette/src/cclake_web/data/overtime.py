"""Numbers over time: the sums of a selection by day, week or month, and by model."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from operator import add
from typing import Any

from cclake_web.charts.scale import after, periods, start_of
from cclake_web.data.chosen import over_time
from cclake_web.data.filters import Filters
from cclake_web.data.sums import ADDED, ADDED_SUMS
from cclake_web.data.zoned import zoned

MODELS = 20  # that are listed
_WIDE = len(ADDED) + 1
_COST = ADDED.index("cost")


@dataclass
class Day:
    """Sums of one day, week or month in the viewer's zone."""

    responses: int = 0
    parts: int = 0
    final: int = 0
    unpriced: int = 0
    uncounted: int = 0
    input: int = 0
    output: int = 0
    written: int = 0
    read: int = 0
    cost: float = 0.0
    side_cost: float = 0.0
    widest: int = 0
    by_model: dict[str, float] = field(default_factory=dict)

    @property
    def context(self) -> int:
        """Tokens that went in, from the cache or not."""
        return self.input + self.written + self.read


@dataclass
class Span:
    """A selection over time.

    Attributes:
        unit: What one period is: day, week or month.
        starts: The first day of every period, without gaps.
        line: The sums of each period.
        models: The sums of each model, the dearest first.
        total: The sums of all.
    """

    unit: str
    starts: list[date]
    line: list[Day]
    models: list[dict[str, Any]]
    total: Day


def span(connection: sqlite3.Connection, filters: Filters) -> Span | None:
    """Sums by period and by model; None where the selection holds no response."""
    time = f"sums.time{zoned(connection, filters.zone)}"
    grain, whose, values = over_time(filters)
    days = f"""from {time} where unit = '{grain}day' and start >= :since
    and start <= :until and {whose} order by start"""
    values |= {"since": filters.since, "until": filters.until or "9999"}
    ends = [
        row[0]
        for order in ("asc", "desc")
        for row in connection.execute(f"select start {days} {order} limit 1", values)
    ]
    if not ends:
        return None
    unit, starts = periods([date.fromisoformat(day) for day in ends])
    rows: list[Sequence[Any]] = []
    for condition in _within(grain, unit, starts, filters):
        rows += connection.execute(
            f"""select start, model, max(widest), {ADDED_SUMS},
            case when side then sum(cost) end as side_cost
            from {time} where {condition} and {whose}
            group by unit, start, model, side""",
            values,
        )
    return _summed(unit, starts, rows)


def _within(grain: str, unit: str, starts: list[date], filters: Filters) -> list[str]:
    """The conditions on whole periods, and on the days of those that are cut."""
    first, end = starts[0], after(starts[-1], unit)
    low = date.fromisoformat(filters.since) if filters.since else first
    high = min(date.fromisoformat(filters.until), end) if filters.until else end
    head = first if low <= first else after(first, unit)
    tail = end if high >= end - timedelta(days=1) else starts[-1]
    parts = [(unit, head, tail)]
    if low > first:  # a single period may be cut at both ends
        parts.append(("day", low, min(head, high + timedelta(days=1))))
    if tail < end and tail >= head:
        parts.append(("day", tail, high + timedelta(days=1)))
    return [
        f"unit = '{grain}{unit}' and start >= '{first}' and start < '{end}'"
        for unit, first, end in parts
        if first < end
    ]


def _summed(unit: str, starts: list[date], rows: Iterable[Sequence[Any]]) -> Span:
    by_day = {start.isoformat(): n for n, start in enumerate(starts)}
    # Plain lists, as there may be thousands of rows.
    line = [[0.0] * _WIDE for _ in starts]
    models: dict[str, list[float]] = defaultdict(lambda: [0.0] * _WIDE)
    widest = [0] * len(starts)
    costs: list[dict[str, float]] = [defaultdict(float) for _ in starts]
    for start, model, most, *sums in rows:
        if start not in by_day:  # a day of a period that is cut
            start = start_of(date.fromisoformat(start), unit).isoformat()
        at = by_day[start]
        known = [number or 0 for number in sums]
        line[at] = list(map(add, line[at], known))
        models[model] = list(map(add, models[model], known))
        widest[at] = max(widest[at], most or 0)
        costs[at][model] += known[_COST]
    total = [sum(column) for column in zip(*line, strict=True)]
    found = {model: _day(sums) for model, sums in models.items()}
    ranked = sorted(found.items(), key=lambda pair: (-pair[1].cost, -pair[1].parts))
    days = [_day(*one) for one in zip(line, widest, costs, strict=True)]
    rows_of_models = [{"model": name, "sums": sums} for name, sums in ranked[:MODELS]]
    return Span(unit, starts, days, rows_of_models, _day(total))


def _day(
    sums: Sequence[float], widest: int = 0, by_model: dict[str, float] | None = None
) -> Day:
    counts = dict(zip((*ADDED, "side_cost"), sums, strict=True))
    numbers = {name: n if "cost" in name else int(n) for name, n in counts.items()}
    return Day(**numbers, widest=widest, by_model=by_model or {})  # type: ignore[arg-type]
