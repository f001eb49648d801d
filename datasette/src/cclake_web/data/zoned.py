"""The sums by the days of a time zone, and the condition of a selection on them."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from cclake_web.data.filters import Filters

MOST = 4  # time zones that are kept
_DAILY = """
create table sums.days{n} as
select z.day, z.week, z.month, h.project, h.model, h.host, h.branch, h.side,
    sum(h.responses) as responses, sum(h.final) as final, sum(h.unpriced) as unpriced,
    sum(h.input) as input, sum(h.output) as output, sum(h.written) as written,
    sum(h.read) as read, sum(h.cost) as cost, max(h.widest) as widest
from sums.halves h join sums.zone{n} z on z.half = h.half
group by 1, 2, 3, 4, 5, 6, 7, 8;
create index sums.days{n}_day on days{n} (day);
create index sums.days{n}_project on days{n} (project, day);
create table sums.tools{n} as
select z.day, c.project, c.model, c.host, c.branch, c.tool, c.kind,
    sum(c.calls) as calls, sum(c.timed) as timed
from sums.calls c join sums.zone{n} z on z.half = c.half group by 1, 2, 3, 4, 5, 6, 7;
create index sums.tools{n}_day on tools{n} (day);
create index sums.tools{n}_project on tools{n} (project, day);
"""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=100_000)
def local(half: int, zone: tzinfo) -> datetime:
    """A half hour of the sums, counted from 1970, in a zone."""
    return (_EPOCH + timedelta(minutes=30 * half)).astimezone(zone)


def zoned(connection: sqlite3.Connection, zone: tzinfo) -> int:
    """The number of a zone's tables: `zone`, `days` and `tools` with it behind."""
    connection.execute("create table if not exists sums.zones (name primary key)")
    row = connection.execute(
        "select rowid from sums.zones where name = ?", (str(zone),)
    ).fetchone()
    return row[0] if row else _make(connection, zone)


def _make(connection: sqlite3.Connection, zone: tzinfo) -> int:
    known = connection.execute("select rowid from sums.zones order by 1").fetchall()
    for (old,) in known[: max(0, len(known) - MOST + 1)]:
        for table in ("zone", "days", "tools"):
            connection.execute(f"drop table sums.{table}{old}")
        connection.execute("delete from sums.zones where rowid = ?", (old,))
    number = known[-1][0] + 1 if known else 1
    connection.execute(
        f"""create table sums.zone{number} (
            half integer primary key, day, week, month, slot integer)"""
    )
    times = connection.execute("select half from sums.times").fetchall()
    rows = [row for (half,) in times if (row := _row(half, zone))]
    connection.executemany(
        f"insert into sums.zone{number} values (?, ?, ?, ?, ?)", rows
    )
    connection.executescript(_DAILY.format(n=number))
    connection.execute("insert into sums.zones (rowid, name) values (?, ?)",
                       (number, str(zone)))  # fmt: skip
    return number


def _row(half: int, zone: tzinfo) -> tuple[object, ...] | None:
    try:
        there = local(half, zone)
    except (ValueError, OverflowError):
        return None  # no time that anybody lived in
    day = there.date()
    week = day - timedelta(days=day.weekday())
    slot = day.weekday() * 24 + there.hour
    days = (one.isoformat() for one in (day, week, day.replace(day=1)))
    return (half, *days, slot)


def where(
    filters: Filters, *, dated: bool = True, table: str = ""
) -> tuple[str, dict[str, Any]]:
    """The condition of a selection on a table of sums.

    Args:
        filters: The selection.
        dated: Whether the table has days; else days are left out.
        table: An alias with its dot, where names would be ambiguous.
    """
    values = {
        name: value
        for name in ("project", "model", "host", "branch")
        if (value := getattr(filters, name))
    }
    chosen = [f"{table}{name} = :{name}" for name in values]
    if dated and filters.since:
        chosen.append("day >= :since")
    if dated and filters.until:
        chosen.append("day <= :until")
    days = {"since": filters.since, "until": filters.until}
    return " and ".join(chosen) or "true", values | days


def dates(rows: Sequence[str]) -> list[date]:
    """Days of the sums as dates."""
    return [date.fromisoformat(row) for row in rows]
