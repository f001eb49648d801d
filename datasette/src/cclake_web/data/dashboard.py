"""Numbers of the dashboard, from the sums by the half hour and by the day."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from cclake_web.charts.scale import periods
from cclake_web.data.filters import Filters
from cclake_web.data.zoned import dates, local, where, zoned

BLOCK = 10  # half hours
SHOWN_BLOCKS = 10
TOOLS = 16
ADDED = ("responses", "final", "unpriced", "input", "output", "written", "read", "cost")
_SUMS = ", ".join(f"sum({name}) as {name}" for name in ADDED)


@dataclass
class Day:
    """Sums of one day, week or month in the viewer's zone."""

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

    def add(self, row: sqlite3.Row) -> None:
        """Add a row of sums."""
        for name in ADDED:
            setattr(self, name, getattr(self, name) + (row[name] or 0))


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


def span(connection: sqlite3.Connection, filters: Filters) -> Span | None:
    """Sums by period and by model; None where the selection holds no response."""
    days = f"sums.days{zoned(connection, filters.zone)}"
    condition, values = where(filters)
    ends = connection.execute(
        f"select min(day), max(day) from {days} where {condition}", values
    ).fetchone()
    if ends[0] is None:
        return None
    unit, starts = periods(dates(ends))
    merged = {start.isoformat(): Day() for start in starts}
    models: dict[str, Day] = defaultdict(Day)
    total = Day()
    for row in connection.execute(
        f"""select {unit} as start, model, side, {_SUMS}, max(widest) as widest
        from {days} where {condition} group by 1, 2, 3""",
        values,
    ):
        period, model, cost = merged[row["start"]], row["model"] or "", row["cost"] or 0
        for one in (period, models[model], total):
            one.add(row)
            one.side_cost += cost if row["side"] else 0.0
        period.widest = max(period.widest, row["widest"] or 0)
        period.by_model[model] += cost
    ranked = sorted(
        models.items(), key=lambda pair: (-pair[1].cost, -pair[1].responses)
    )
    rows = [{"model": name, "sums": sums} for name, sums in ranked[:20]]
    return Span(unit, starts, list(merged.values()), rows, total)


def by_hour(connection: sqlite3.Connection, filters: Filters) -> list[sqlite3.Row]:
    """Responses, tokens and money of every half hour with its place in the week."""
    zone = f"sums.zone{zoned(connection, filters.zone)}"
    inner, values = where(filters, dated=False)
    outer, _ = where(Filters(since=filters.since, until=filters.until))
    # Grouped before it is joined: then few rows are looked up.
    return connection.execute(
        f"""select h.*, z.slot from (
            select half, sum(cost) as cost, sum(responses) as responses,
                sum(input + output + written + read) as tokens
            from sums.halves where {inner} group by half
        ) h join {zone} z on z.half = h.half where {outer} order by h.half""",
        values,
    ).fetchall()


def heat(hours: list[sqlite3.Row]) -> list[list[int]]:
    """API responses by weekday (Monday first) and hour, in the viewer's zone."""
    table = [[0] * 24 for _ in range(7)]
    for row in hours:
        table[row["slot"] // 24][row["slot"] % 24] += row["responses"]
    return table


def blocks(hours: list[sqlite3.Row], zone: tzinfo) -> list[Block]:
    """The last windows of five hours; each begins with its first response's hour."""
    starts: list[int] = []
    began = -BLOCK
    for at, row in enumerate(hours):
        if row["half"] >= began + BLOCK:
            began = _whole(row["half"])
            starts.append(at)
    found = []
    ends = [*starts, len(hours)][1:]
    for first, end in list(zip(starts, ends, strict=True))[-SHOWN_BLOCKS:]:
        rows = hours[first:end]
        last = local(_whole(rows[-1]["half"]), zone) + timedelta(hours=1)
        block = Block(local(_whole(rows[0]["half"]), zone), last)
        for row in rows:
            block.cost += row["cost"] or 0.0
            block.tokens += row["tokens"] or 0
            block.responses += row["responses"]
        found.append(block)
    return found


def _whole(half: int) -> int:
    """The half hour that the hour of another one begins with."""
    return half // 2 * 2


def projects(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Money and tokens by project, the dearest first."""
    condition, values = where(filters)
    rows = connection.execute(
        f"""select project, sum(cost) as cost, sum(responses) as responses,
        sum(unpriced) as unpriced, sum(input + output + written + read) as tokens
        from sums.days{zoned(connection, filters.zone)} where {condition}
        group by 1 order by 2 desc, 5 desc limit 15""",
        values,
    )
    return [dict(row) for row in rows]


def tools(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Calls, errors and the median duration of each tool, most called first."""
    condition, values = where(filters)
    rows = connection.execute(
        f"""select tool, sum(calls) as calls, sum(timed) as timed,
        sum(case when kind <> '' then calls else 0 end) as errors
        from sums.tools{zoned(connection, filters.zone)} where {condition}
        group by 1 order by 2 desc, 1 limit {TOOLS}""",
        values,
    ).fetchall()
    within = _choose_calls(connection, filters)
    return [
        dict(row) | {"median_s": _median(connection, row["tool"], row["timed"], within)}
        for row in rows
    ]


def _choose_calls(connection: sqlite3.Connection, filters: Filters) -> str:
    """Note which calls are chosen; returns the condition on the durations."""
    condition, values = where(filters)
    if condition == "true":
        return condition
    zone = f"join sums.zone{zoned(connection, filters.zone)} z on z.half = c.half"
    dated = zone if filters.since or filters.until else ""
    connection.execute("delete from sums.chosen")
    connection.execute(
        f"""insert into sums.chosen
        select id from sums.calls c {dated} where {condition}""",
        values,
    )
    return "call in sums.chosen"


def _median(
    connection: sqlite3.Connection, tool: str | None, timed: int, within: str
) -> float | None:
    """The exact median of the durations of a tool, in seconds."""
    if not timed:
        return None
    rows = connection.execute(
        f"""select ms from sums.durations where tool is :tool and {within}
        order by ms limit :both offset :half""",
        {"tool": tool, "both": 2 - timed % 2, "half": (timed - 1) // 2},
    ).fetchall()
    return float(sum(ms for (ms,) in rows)) / len(rows) / 1000


def errors(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Failed calls by kind."""
    condition, values = where(filters)
    rows = connection.execute(
        f"""select kind, sum(calls) as errors
        from sums.tools{zoned(connection, filters.zone)}
        where kind <> '' and {condition} group by 1 order by 2 desc limit 12""",
        values,
    )
    return [dict(row) for row in rows]
