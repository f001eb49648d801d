"""Numbers of the dashboard, from the sums by the hour."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from cclake_web.data.filters import Filters
from cclake_web.data.rollup import where

BLOCK = timedelta(hours=5)
_SUMS = ("responses", "final", "unpriced", "input", "output", "written", "read")


@dataclass
class Day:
    """Sums of one day in the viewer's zone."""

    responses: int = 0
    final: int = 0
    unpriced: int = 0
    input: int = 0
    output: int = 0
    written: int = 0
    read: int = 0
    cost: float = 0.0
    side_cost: float = 0.0
    widest: int = 0
    by_model: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def context(self) -> int:
        """Tokens that went in, from the cache or not."""
        return self.input + self.written + self.read


@dataclass
class Block:
    """Five hours of work that count as one window."""

    start: datetime
    end: datetime
    cost: float = 0.0
    tokens: int = 0
    responses: int = 0

    @property
    def hours(self) -> float:
        """How long the block was in use, at least one hour."""
        return max((self.end - self.start).total_seconds() / 3600, 1.0)


@lru_cache(maxsize=50_000)
def local(hour: str, zone: tzinfo) -> datetime:
    """An hour of the export (2026-08-01T10) in a zone."""
    return datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC).astimezone(zone)


def days(connection: sqlite3.Connection, filters: Filters) -> dict[date, Day]:
    """Sums by day."""
    condition, values = where(filters)
    sums = ", ".join(f"sum({name}) as {name}" for name in _SUMS)
    rows = connection.execute(
        f"""select hour, model, side, {sums}, sum(cost) as cost, max(widest) as widest
        from hourly where {condition} group by hour, model, side""",
        values,
    )
    found: dict[date, Day] = defaultdict(Day)
    for row in rows:
        one = found[local(row["hour"], filters.zone).date()]
        for name in _SUMS:
            setattr(one, name, getattr(one, name) + (row[name] or 0))
        cost = row["cost"] or 0.0
        one.cost += cost
        one.side_cost += cost if row["side"] else 0.0
        one.widest = max(one.widest, row["widest"] or 0)
        one.by_model[row["model"] or ""] += cost
    return dict(found)


def hours(connection: sqlite3.Connection, filters: Filters) -> list[list[int]]:
    """API responses by weekday (Monday first) and hour, in the viewer's zone."""
    condition, values = where(filters)
    table = [[0] * 24 for _ in range(7)]
    for hour, number in connection.execute(
        f"select hour, sum(responses) from hourly where {condition} group by hour",
        values,
    ):
        there = local(hour, filters.zone)
        table[there.weekday()][there.hour] += number
    return table


def blocks(connection: sqlite3.Connection, filters: Filters) -> list[Block]:
    """Windows of five hours that begin with the hour of their first response."""
    condition, values = where(filters)
    found: list[Block] = []
    for row in connection.execute(
        f"""select hour, sum(cost) as cost, sum(responses) as responses,
        sum(input + output + written + read) as tokens
        from hourly where {condition} group by hour order by hour""",
        values,
    ):
        start = local(row["hour"], filters.zone)
        if not found or start >= found[-1].start + BLOCK:
            found.append(Block(start, start))
        block = found[-1]
        block.end = start + timedelta(hours=1)
        block.cost += row["cost"] or 0.0
        block.tokens += row["tokens"] or 0
        block.responses += row["responses"]
    return found


def projects(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Money and tokens by project, the dearest first."""
    condition, values = where(filters)
    rows = connection.execute(
        f"""select project, sum(cost) as cost, sum(responses) as responses,
        sum(unpriced) as unpriced, sum(input + output + written + read) as tokens
        from hourly where {condition} group by 1
        order by 2 desc, 5 desc limit 15""",
        values,
    )
    return [dict(row) for row in rows]


def models(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Money, tokens and certainty by model."""
    condition, values = where(filters)
    sums = ", ".join(f"sum({name}) as {name}" for name in _SUMS)
    rows = connection.execute(
        f"""select model, {sums}, sum(cost) as cost from hourly where {condition}
        group by 1 order by sum(cost) desc, sum(responses) desc limit 20""",
        values,
    )
    return [dict(row) for row in rows]


def tools(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Calls, errors and the median duration of each tool, most called first."""
    condition, values = where(filters, model=False)
    rows = connection.execute(
        f"""select tool, size, sum(calls) as calls, sum(errors) as errors
        from calls where {condition} group by 1, 2 order by 1, 2""",
        values,
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(
            row["tool"] or "?", {"calls": 0, "errors": 0, "sizes": []}
        )
        one["calls"] += row["calls"]
        one["errors"] += row["errors"]
        if row["size"] is not None:
            one["sizes"].append((row["size"], row["calls"]))
    ranked = sorted(found.items(), key=lambda pair: -pair[1]["calls"])[:16]
    return [
        {"tool": name, **one, "median_s": _median(one["sizes"])} for name, one in ranked
    ]


def errors(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Failed calls by kind."""
    condition, values = where(filters, model=False)
    rows = connection.execute(
        f"""select case kind when '' then 'other' else kind end as kind,
        sum(errors) as errors from calls where {condition} and errors > 0
        group by 1 order by 2 desc limit 12""",
        values,
    )
    return [dict(row) for row in rows]


def _median(sizes: list[tuple[int, int]]) -> float | None:
    """The median in seconds of durations that stand in tenths of a logarithm."""
    half = sum(number for _, number in sizes) / 2
    for size, number in sizes:
        half -= number
        if half <= 0:
            return float(10 ** (size / 10)) / 1000
    return None
