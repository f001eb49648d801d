"""Sum up a selection by day, week or month, and by model."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import add
from typing import Any

from cclake_web.charts.scale import periods
from cclake_web.data import zones
from cclake_web.data.filters import Filters
from cclake_web.data.quarters import chosen, local

MODELS = 20  # that are listed
# The fields of a day, in order, and how each is summed up.
_ADDED = {
    "responses": "api_responses",
    "parts": "model_responses",
    "final": "final_responses",
    "unpriced": "unpriced_responses - uncounted_responses",
    "uncounted": "uncounted_responses",
    "input": "input_tokens",
    "output": "output_tokens",
    "written": "cache_write_tokens",
    "read": "cache_read_tokens",
    "cost": "cost_usd",
}
_SUMS = ", ".join(f"sum({column})" for column in _ADDED.values())
_SIDE = "sum(case when is_sidechain then cost_usd end)"
_WIDE = len(_ADDED) + 1
_COST = list(_ADDED).index("cost")


@dataclass(frozen=True)
class Done:
    """The sums of one day in the viewer's zone: dollars, and API responses."""

    cost: float
    responses: int


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
        """Input tokens, from the cache or not."""
        return self.input + self.written + self.read

    @property
    def cached(self) -> float:
        """The share of the context that was read from the cache."""
        return self.read / self.context if self.context else 0.0

    @property
    def delegated(self) -> float:
        """The share of the cost that subagents caused."""
        return self.side_cost / self.cost if self.cost else 0.0


@dataclass
class Span:
    """A selection over time.

    Attributes:
        unit: The unit of a period: day, week or month.
        starts: The first day of every period, without gaps.
        line: The sums of each period.
        models: The sums of each model, the most expensive first.
        total: The sums of all.
    """

    unit: str
    starts: list[date]
    line: list[Day]
    models: list[dict[str, Any]]
    total: Day


def days(connection: sqlite3.Connection, filters: Filters) -> dict[date, Done]:
    """Return the sums of each day of a selection that has a response."""
    where, values = chosen(filters)
    day = zones.day_of(local(connection, filters, "agg_response_quarters"))
    rows = connection.execute(
        f"""select {day}, sum(cost_usd), sum(api_responses)
        from agg_response_quarters where {where} group by 1""",
        values,
    )
    return {zones.date_of(day): Done(cost or 0.0, n) for day, cost, n in rows}


def total(connection: sqlite3.Connection, filters: Filters) -> Day:
    """Return the sums of a whole selection."""
    where, values = chosen(filters)
    row = connection.execute(
        f"""select max(max_context_tokens), {_SUMS}, {_SIDE}
        from agg_response_quarters where {where}""",
        values,
    ).fetchone()
    widest, *sums = [number or 0 for number in row]
    return _day(sums, widest)


def span(
    connection: sqlite3.Connection, filters: Filters, known: Collection[date]
) -> Span | None:
    """Return the sums by period and by model.

    Args:
        connection: Of the export.
        filters: The selection.
        known: The days of the selection; without any, there are no sums.
    """
    if not known:
        return None
    unit, starts = periods(list(known))
    where, values = chosen(filters)
    day = zones.day_of(local(connection, filters, "agg_response_quarters"))
    rows = connection.execute(
        f"""select {zones.start_of(day, unit)}, coalesce(model, ''),
        max(max_context_tokens), {_SUMS}, case when is_sidechain then sum(cost_usd) end
        from agg_response_quarters where {where} group by 1, 2, is_sidechain""",
        values,
    )
    return _summed(unit, starts, rows)


def _summed(unit: str, starts: list[date], rows: Iterable[Sequence[Any]]) -> Span:
    by_day = {start.toordinal() - zones.DAYS: n for n, start in enumerate(starts)}
    # Plain lists, since there may be thousands of rows.
    line = [[0.0] * _WIDE for _ in starts]
    models: dict[str, list[float]] = defaultdict(lambda: [0.0] * _WIDE)
    widest = [0] * len(starts)
    costs: list[dict[str, float]] = [defaultdict(float) for _ in starts]
    for start, model, most, *sums in rows:
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
    counts = dict(zip((*_ADDED, "side_cost"), sums, strict=True))
    numbers = {name: n if "cost" in name else int(n) for name, n in counts.items()}
    return Day(**numbers, widest=widest, by_model=by_model or {})  # type: ignore[arg-type]
