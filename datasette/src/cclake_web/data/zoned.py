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
create table sums.zone{{n}} (half integer primary key, day, slot integer);
create table sums.time{{n}} (unit, start, model, side, who integer,
    {", ".join(ADDED)}, widest,
    primary key (unit, start, model, side, who)) without rowid;
create table sums.slots{{n}} (slot integer, half integer, who integer, responses,
    primary key (slot, half, who)) without rowid;
"""
_WEEK = "date({day}, 'weekday 0', '-6 days')"
_MONTH = "substr({day}, 1, 8) || '01'"
_RENEW = f"""
delete from sums.slots{{n}} where half in (select half from sums.touched);
insert into sums.slots{{n}}
select z.slot, h.half, h.who, sum(h.responses) from sums.touched t
cross join sums.halves h on h.half = t.half
cross join sums.zone{{n}} z on z.half = h.half group by 1, 2, 3;

create temp table renewed as select 'day' as unit, z.day as start
from sums.touched t cross join sums.zone{{n}} z on z.half = t.half group by 2;
insert into renewed select distinct 'week', {_WEEK.format(day="start")} from renewed;
insert into renewed select distinct 'month', {_MONTH.format(day="start")} from renewed
where unit = 'day';
delete from sums.time{{n}} where (unit, start) in (select unit, start from renewed
    union all select 'all ' || unit, start from renewed);
insert into sums.time{{n}}
select 'day', z.day, coalesce(w.model, ''), h.side, h.who, {_SUMS}
from sums.halves h cross join sums.zone{{n}} z on z.half = h.half
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
def local(half: int, zone: tzinfo) -> datetime:
    """A half hour of the sums, counted from 1970, in a zone."""
    return (EPOCH + timedelta(minutes=30 * half)).astimezone(zone)


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
        insert into sums.touched select half from sums.halves
        union select half from sums.spoken"""
    )
    _renew(connection, number, zone)
    connection.execute("insert into sums.zones (rowid, name) values (?, ?)",
                       (number, str(zone)))  # fmt: skip
    return number


def renew_all(connection: sqlite3.Connection) -> None:
    """Make the sums of all zones again for the half hours noted as touched."""
    there = "select 1 from sums.sqlite_master where name = 'zones'"
    if connection.execute(there).fetchone():
        known = connection.execute("select rowid, name from sums.zones").fetchall()
        for number, name in known:
            _renew(connection, number, _ZONES[name])


def _renew(connection: sqlite3.Connection, number: int, zone: tzinfo) -> None:
    halves = connection.execute("select half from sums.touched").fetchall()
    rows = [row for (half,) in halves if (row := _row(half, zone))]
    connection.executemany(
        f"insert or replace into sums.zone{number} values (?, ?, ?)", rows
    )
    connection.executescript(_RENEW.format(n=number))


def _row(half: int, zone: tzinfo) -> tuple[object, ...] | None:
    try:
        there = local(half, zone)
    except (ValueError, OverflowError):
        return None  # no time that anybody lived in
    slot = there.weekday() * 24 + there.hour
    return (half, there.date().isoformat(), slot)
