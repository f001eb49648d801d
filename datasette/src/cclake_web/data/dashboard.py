"""Query the numbers of the dashboard that are not over time."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from cclake_common import windows

from cclake_web.data import zones
from cclake_web.data.durations import median
from cclake_web.data.filters import Filters
from cclake_web.data.quarters import chosen, local

SHOWN_BLOCKS = 10
RECENT = 30 * 24  # hours that are searched first
TOOLS = 16
KINDS = 12


@dataclass
class Block:
    """A five-hour window of a subscription."""

    start: datetime
    end: datetime
    cost: float = 0.0
    tokens: int = 0
    responses: int = 0

    @property
    def hours(self) -> float:
        """The hours from its start to its last response, at least one."""
        return max((self.end - self.start).total_seconds() / 3600, 1.0)


def heat(connection: sqlite3.Connection, filters: Filters) -> list[list[int]]:
    """Return API responses by weekday (Monday first) and hour, in the viewer's zone."""
    where, values = chosen(filters)
    slot = zones.slot_of(local(connection, filters, "agg_response_quarters"))
    table = [[0] * 24 for _ in range(7)]
    for hour, number in connection.execute(
        f"""select {slot}, sum(api_responses) from agg_response_quarters
        where {where} group by 1""",
        values,
    ):
        table[hour // 24][hour % 24] = number
    return table


def blocks(connection: sqlite3.Connection, filters: Filters) -> list[Block]:
    """Return the last five-hour windows; each begins with the hour of a response."""
    where, values = chosen(filters)
    sql = f"select max(quarter_no) from agg_response_quarters where {where}"
    (newest,) = connection.execute(sql, values).fetchone()
    if newest is None:
        return []
    for since in (newest // 4 - RECENT, -1):
        hours = connection.execute(
            f"""select distinct quarter_no / 4 from agg_response_quarters
            where {where} order by 1""",
            _not_before(values, since),
        )
        starts = windows.starts([hour for (hour,) in hours], whole=since < 0)
        if len(starts) >= SHOWN_BLOCKS:
            break
    shown = starts[-SHOWN_BLOCKS:]
    rows = connection.execute(
        f"""select quarter_no / 4 as hour, sum(cost_usd) as cost,
        sum(api_responses) as responses, sum(total_tokens) as tokens
        from agg_response_quarters
        where {where} group by 1 order by 1""",
        _not_before(values, shown[0]),
    ).fetchall()
    found = []
    for first, end in pairwise([*shown, zones.LAST]):
        inside = [row for row in rows if first <= row["hour"] < end]
        found.append(_block(inside, filters.zone))
    return found


def _not_before(values: dict[str, Any], hour: int) -> dict[str, Any]:
    return values | {"first_quarter": max(values["first_quarter"], 4 * hour)}


def _block(rows: list[sqlite3.Row], zone: tzinfo) -> Block:
    begin, last = (
        (zones.EPOCH + timedelta(hours=row["hour"])).astimezone(zone)
        for row in (rows[0], rows[-1])
    )
    block = Block(begin, last + timedelta(hours=1))
    for row in rows:
        block.cost += row["cost"] or 0.0
        block.tokens += row["tokens"] or 0
        block.responses += row["responses"]
    return block


def projects(connection: sqlite3.Connection, filters: Filters) -> list[dict[str, Any]]:
    """Return money and tokens by project, the most expensive first."""
    where, values = chosen(filters)
    rows = connection.execute(
        f"""select project_key as project, sum(cost_usd) as cost,
        sum(api_responses) as responses, sum(unpriced_responses) as unknown,
        sum(total_tokens) as tokens from agg_response_quarters
        where {where} group by 1 order by 2 desc, 5 desc limit 15""",
        values,
    )
    return [dict(row) for row in rows]


@dataclass
class Calls:
    """Calls by tool and by kind of failure, the most frequent first."""

    tools: list[dict[str, Any]]
    errors: list[dict[str, Any]]


def calls(connection: sqlite3.Connection, filters: Filters) -> Calls:
    """Return calls, errors and median durations by tool, and failures by kind."""
    where, values = chosen(filters)
    tools: dict[str | None, dict[str, Any]] = {}
    kinds: dict[str, int] = defaultdict(int)
    for tool, kind, number, durations in connection.execute(
        f"""select tool_name, error_kind, sum(calls), group_concat(durations, '')
        from agg_call_quarters where {where} group by 1, 2""",
        values,
    ):
        fresh = {"tool": tool, "calls": 0, "errors": 0, "durations": ""}
        one = tools.setdefault(tool, fresh)
        one["calls"] += number
        one["durations"] += durations
        if kind:
            one["errors"] += number
            kinds[kind] += number
    most = sorted(tools.values(), key=lambda one: (-one["calls"], one["tool"] or ""))
    for one in most[:TOOLS]:
        one["median_s"] = median(one.pop("durations"))
    failed = sorted(kinds.items(), key=lambda pair: -pair[1])[:KINDS]
    return Calls(most[:TOOLS], [{"kind": kind, "errors": n} for kind, n in failed])
