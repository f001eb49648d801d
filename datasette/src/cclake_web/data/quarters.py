"""Write a selection as SQL conditions on the sums by quarters of an hour."""

import sqlite3
from datetime import date, timedelta
from typing import Any

from cclake_archive.json_text import dumps

from cclake_web.data.filters import Filters
from cclake_web.data.zones import LAST, local_quarter, midnight, quarter_of

_COLUMNS = {
    "project": "project_key", "model": "model", "branch": "git_branch", "host": "host",
}  # fmt: skip


def chosen(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the condition of a selection on responses or calls, with its values."""
    within, values = chosen_days(filters)
    picked = {name: value for name in _COLUMNS if (value := getattr(filters, name))}
    parts = [f"{_COLUMNS[name]} = :{name}" for name in picked]
    if filters.keeps:
        parts.append("session_id in (select value from json_each(:kept))")
        picked["kept"] = dumps(filters.kept)
    if filters.account:
        parts.append(filters.of_account(""))
    return " and ".join([within, *parts]), values | picked


def chosen_days(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the condition of the chosen days in the viewer's zone."""
    first, end = 0, LAST
    if filters.since:
        first = max(first, _begin(filters, filters.since, 0, end))
    if filters.until:
        end = min(end, _begin(filters, filters.until, 1, end))
    within = "quarter_no >= :first_quarter and quarter_no < :end_quarter"
    return within, {"first_quarter": first, "end_quarter": end}


def _begin(filters: Filters, day: str, later: int, beyond: int) -> int:
    try:
        there = date.fromisoformat(day) + timedelta(days=later)
        return quarter_of(midnight(there, filters.zone))
    except OverflowError:
        return beyond if later else 0


def local(connection: sqlite3.Connection, filters: Filters, mart: str) -> str:
    """Return SQL for the quarters of a mart in the viewer's local time."""
    within, values = chosen_days(filters)
    ends = [
        connection.execute(
            f"select {end}(quarter_no) from {mart} where {within}", values
        ).fetchone()[0]
        for end in ("min", "max")
    ]
    return local_quarter(filters.zone, ends[0] or 0, ends[1] or 0)
