"""The sums by the days, weeks and months of a time zone."""

import sqlite3
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from cclake_web.data.sums import ADDED, ADDED_SUMS

MOST = 4  # time zones that are kept
TABLES = ("zone", "time", "slots")
_SUMS = f"{ADDED_SUMS}, max(widest) as widest"
# In the order of what they are grouped by, so that nothing has to be sorted. Units
# with "all " before them do not tell apart who but by model.
_CREATE = f"""
create table sums.zone{{n}} (quarter integer primary key, day, slot integer);
create table sums.time{{n}} (unit, start, model, side, who integer,
    {", ".join(ADDED)}, widest,
    primary key (unit, start, model, side, who)) without rowid;
create table sums.slots{{n}} (slot integer, quarter integer, who integer, responses,
    primary key (slot, quarter, who)) without rowid;
"""
_WEEK = "date({day}, 'weekday 0', '-6 days')"
_MONTH = "substr({day}, 1, 8) || '01'"
_RENEW = f"""
delete from sums.slots{{n}} where quarter in (select quarter from sums.touched);
insert into sums.slots{{n}}
select z.slot, h.quarter, h.who, sum(h.responses) from sums.touched t
cross join sums.quarters h on h.quarter = t.quarter
cross join sums.zone{{n}} z on z.quarter = h.quarter group by 1, 2, 3;

create temp table renewed as select 'day' as unit, z.day as start
from sums.touched t cross join sums.zone{{n}} z on z.quarter = t.quarter group by 2;
insert into renewed select distinct 'week', {_WEEK.format(day="start")} from renewed;
insert into renewed select distinct 'month', {_MONTH.format(day="start")} from renewed
where unit = 'day';
delete from sums.time{{n}} where (unit, start) in (select unit, start from renewed
    union all select 'all ' || unit, start from renewed);
insert into sums.time{{n}}
select 'day', z.day, coalesce(w.model, ''), h.side, h.who, {_SUMS}
from sums.quarters h cross join sums.zone{{n}} z on z.quarter = h.quarter
cross join sums.who w on w.id = h.who
where z.day in (select start from renewed where unit = 'day') group by 2, 3, 4, 5;
insert into sums.time{{n}}
select 'week', {_WEEK.format(day="start")} as week, model, side, who, {_SUMS}
from sums.time{{n}} where unit = 'day'
and week in (select start from renewed where unit = 'week') group by 2, 3, 4, 5;
insert into sums.time{{n}}
select 'month', {_MONTH.format(day="start")} as month, model, side, who, {_SUMS}
from sums.time{{n}} where unit = 'day'
and month in (select start from renewed where unit = 'month') group by 2, 3, 4, 5;
insert into sums.time{{n}}
select 'all ' || unit, start, model, side, 0, {_SUMS} from sums.time{{n}}
where (unit, start) in (select unit, start from renewed) group by unit, start, 3, 4;
drop table renewed;
"""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONES: dict[str, tzinfo] = {}  # those of the tables, by their names


@lru_cache(maxsize=100_000)
def local(quarter: int, zone: tzinfo) -> datetime:
    """Return a quarter of an hour of the sums, counted from 1970, in a zone."""
    return (EPOCH + timedelta(minutes=15 * quarter)).astimezone(zone)


def zoned(connection: sqlite3.Connection, zone: tzinfo) -> int:
    """The number of a zone's tables: `zone`, `time` and `slots` with it behind."""
    _ZONES[str(zone)] = zone
    connection.execute("create table if not exists sums.zones (name primary key)")
    row = connection.execute(
        "select rowid from sums.zones where name = ?", (str(zone),)
    ).fetchone()
    return row[0] if row else _make(connection, zone)


def _make(connection: sqlite3.Connection, zone: tzinfo) -> int:
    known = connection.execute("select rowid from sums.zones order by 1").fetchall()
    for (old,) in known[: max(0, len(known) - MOST + 1)]:
        for table in TABLES:
            connection.execute(f"drop table sums.{table}{old}")
        connection.execute("delete from sums.zones where rowid = ?", (old,))
    number = known[-1][0] + 1 if known else 1
    connection.executescript(_CREATE.format(n=number))
    connection.executescript(
        """delete from sums.touched;
        insert into sums.touched select quarter from sums.quarters
        union select quarter from sums.spoken"""
    )
    _renew(connection, number, zone)
    connection.execute("insert into sums.zones (rowid, name) values (?, ?)",
                       (number, str(zone)))  # fmt: skip
    return number


def renew_all(connection: sqlite3.Connection) -> None:
    """Rebuild the sums of all zones for the touched quarters of an hour."""
    there = "select 1 from sums.sqlite_master where name = 'zones'"
    if connection.execute(there).fetchone():
        known = connection.execute("select rowid, name from sums.zones").fetchall()
        for number, name in known:
            _renew(connection, number, _ZONES[name])


def _renew(connection: sqlite3.Connection, number: int, zone: tzinfo) -> None:
    quarters = connection.execute("select quarter from sums.touched").fetchall()
    rows = [row for (quarter,) in quarters if (row := _row(quarter, zone))]
    connection.executemany(
        f"insert or replace into sums.zone{number} values (?, ?, ?)", rows
    )
    connection.executescript(_RENEW.format(n=number))


def _row(quarter: int, zone: tzinfo) -> tuple[object, ...] | None:
    try:
        there = local(quarter, zone)
    except (ValueError, OverflowError):
        return None  # no time that anybody lived in
    slot = there.weekday() * 24 + there.hour
    return (quarter, there.date().isoformat(), slot)
