"""Numbers of the dashboard that are not over time, from the sums."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise, zip_longest
from typing import Any

from cclake_web.data.chosen import chosen_quarters, quarters_of, whose_of
from cclake_web.data.filters import Filters
from cclake_web.data.medians import median
from cclake_web.data.sums import BELOW_SUMS
from cclake_web.data.tower import TOP, source
from cclake_web.data.zoned import local, zoned

BLOCK = 20  # quarters of an hour
SHOWN_BLOCKS = 10
TOOLS = 16
KINDS = 12


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


def heat(connection: sqlite3.Connection, filters: Filters) -> list[list[int]]:
    """API responses by weekday (Monday first) and hour, in the viewer's zone."""
    slots = f"sums.slots{zoned(connection, filters.zone)}"
    chosen, values = chosen_quarters(connection, filters)
    table = [[0] * 24 for _ in range(7)]
    for slot, number in connection.execute(
        f"select slot, sum(responses) from {slots} where {chosen} group by slot",
        values,
    ):
        table[slot // 24][slot % 24] = number
    return table


# Every window begins with the first response after the end of the one before.
_WINDOWS = f"""with recursive windows (quarter) as (
    select min(quarter) from sums.quarters where {{chosen}}
    union all
    select (select quarter from sums.quarters
        where quarter >= windows.quarter / 4 * 4 + {BLOCK} and {{chosen}}
        order by quarter limit 1)
    from windows where windows.quarter is not null
) select quarter from windows where quarter is not null"""


def blocks(connection: sqlite3.Connection, filters: Filters) -> list[Block]:
    """The last windows of five hours; each begins with its first response's hour."""
    chosen, values = chosen_quarters(connection, filters)
    windows = connection.execute(_WINDOWS.format(chosen=chosen), values)
    starts = [quarter for (quarter,) in windows]
    found = []
    shown = starts[-SHOWN_BLOCKS:]
    rows = connection.execute(
        f"""select quarter, sum(cost) as cost, sum(responses) as responses,
        sum(input + output + written + read) as tokens from sums.quarters
        where {chosen} and quarter >= :first group by quarter""",
        values | {"first": shown[0] if shown else 0},
    ).fetchall()
    for first, end in pairwise([*shown, TOP]):
        inside = [row for row in rows if first <= row["quarter"] < end]
        found.append(_block(inside, filters.zone))
    return found


def _block(rows: list[sqlite3.Row], zone: tzinfo) -> Block:
    last = local(_whole(rows[-1]["quarter"]), zone) + timedelta(hours=1)
    block = Block(local(_whole(rows[0]["quarter"]), zone), last)
    for row in rows:
        block.cost += row["cost"] or 0.0
        block.tokens += row["tokens"] or 0
        block.responses += row["responses"]
    return block


def _whole(quarter: int) -> int:
    """Return the first quarter of the same hour."""
    return quarter // 4 * 4


def projects(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Money and tokens by project, the dearest first."""
    whose, values = whose_of(filters)
    answered = source("answered", quarters_of(connection, filters), whose)
    rows = connection.execute(
        f"""select w.project, sum(a.cost) as cost, sum(a.responses) as responses,
        sum(a.unpriced + a.uncounted) as unknown, sum(a.tokens) as tokens
        from {answered} a join sums.who w on w.id = a.who
        group by 1 order by 2 desc, 5 desc limit 15""",
        values,
    )
    return [dict(row) for row in rows]


@dataclass
class Calls:
    """Calls of tools, in all and by kind of failure, the most first."""

    tools: list[dict[str, Any]]
    errors: list[dict[str, Any]]


def calls(connection: sqlite3.Connection, filters: Filters) -> Calls:
    """Calls, errors and the median duration of each tool, and failures by kind."""
    whose, values = whose_of(filters)
    called = source("called", quarters_of(connection, filters), whose)
    tools: dict[str | None, dict[str, Any]] = {}
    kinds: dict[str, int] = defaultdict(int)
    for row in connection.execute(
        f"""select tool, kind, sum(calls) as calls, sum(timed) as timed, {BELOW_SUMS}
        from {called} group by tool, kind""",
        values,
    ):
        fresh = {"tool": row["tool"], "calls": 0, "timed": 0, "errors": 0, "below": ()}
        one = tools.setdefault(row["tool"], fresh)
        one["calls"] += row["calls"]
        one["timed"] += row["timed"]
        one["below"] = [*map(sum, zip_longest(one["below"], row[4:], fillvalue=0))]
        if row["kind"]:
            one["errors"] += row["calls"]
            kinds[row["kind"]] += row["calls"]
    most = sorted(tools.values(), key=lambda one: (-one["calls"], one["tool"] or ""))
    chosen, values = chosen_quarters(connection, filters)
    for one in most[:TOOLS]:
        one["median_s"] = median(
            connection, one["tool"], one["timed"], one.pop("below"), chosen, values
        )
    failed = sorted(kinds.items(), key=lambda pair: -pair[1])[:KINDS]
    return Calls(most[:TOOLS], [{"kind": kind, "errors": n} for kind, n in failed])
