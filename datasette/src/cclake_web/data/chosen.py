"""The conditions of a selection on the sums."""

import sqlite3
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from cclake_web.data.filters import CHOICES, Filters
from cclake_web.data.tower import TOP
from cclake_web.data.zoned import EPOCH


def whose_of(filters: Filters) -> tuple[str, dict[str, Any]]:
    """The condition of a selection on `who`."""
    values = {name: value for name in CHOICES if (value := getattr(filters, name))}
    chosen = " and ".join(f"{name} = :{name}" for name in values)
    whose = f"who in (select id from sums.who where {chosen})" if values else "true"
    return whose, values


def over_time(filters: Filters) -> tuple[str, str, dict[str, Any]]:
    """How a selection is read from the sums of a zone over time.

    Returns:
        What stands before the units, the condition, and what that needs.
    """
    if filters.project or filters.host or filters.branch:
        return "", *whose_of(filters)
    if filters.model:
        return "all ", "model = :model", {"model": filters.model}
    return "all ", "true", {}


def chosen_quarters(
    connection: sqlite3.Connection, filters: Filters
) -> tuple[str, dict[str, Any]]:
    """Return the condition of a selection on a table with `quarter` and `who`."""
    whose, values = whose_of(filters)
    low, end = quarters_of(connection, filters)
    dated = [f"quarter >= {low}"] * (low > 0) + [f"quarter < {end}"] * (end < TOP)
    return " and ".join([*dated, whose]), values


def quarters_of(connection: sqlite3.Connection, filters: Filters) -> tuple[int, int]:
    """Return the chosen days as quarters: the first, and the one after the last."""
    first, last = connection.execute(
        """select min(quarter), max(quarter) from (
        select min(quarter) as quarter from sums.quarters
        union all select max(quarter) from sums.quarters
        union all select min(quarter) from sums.calls
        union all select max(quarter) from sums.calls)"""
    ).fetchone()
    low = _midnight(filters.since, filters.zone, 0)
    end = _midnight(filters.until, filters.zone, 1)
    # What cuts nothing off is left out, so that the widest blocks are enough.
    from_start = first is None or low is None or low <= first
    to_end = last is None or end is None or end > last
    return 0 if from_start else low or 0, TOP if to_end else end or 0


def _midnight(day: str, zone: tzinfo, later: int) -> int | None:
    """Return the first quarter of an hour of a day, or of the next day."""
    if not day:
        return None
    try:
        there = date.fromisoformat(day) + timedelta(days=later)
        moment = datetime.combine(there, time(), zone).astimezone(UTC)
    except OverflowError:
        return TOP if later else 0
    return -(-int((moment - EPOCH).total_seconds()) // 900)
