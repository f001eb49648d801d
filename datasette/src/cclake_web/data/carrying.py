"""Carries the sums of one export on to the next: only moved sessions are read.

Publish replaces the rows of a session together and raises its `updated_run`.
That is enough to know what has changed where both exports come from the same
builds of their tables; everywhere else the sums are made anew.
"""

import sqlite3

from cclake_web.data import sums, tower, zoned

_SAME = ("builds", "layout", "schema_version")
_MOVED = """
delete from sums.moved;
insert into sums.moved
select session, session_id from sums.ids where session in (
    select session from
        (select * from sums.listed except select * from temp.before_it)
    union select session from
        (select * from temp.before_it except select * from sums.listed));
drop table temp.before_it;
"""
_TOUCHED = """
insert or ignore into sums.touched
select quarter from sums.quarters where session in (select session from sums.moved)
union select quarter from sums.calls where session in (select session from sums.moved)
union select quarter from sums.spoken where session in (select session from sums.moved);
"""
_FORGET = """
delete from sums.quarters where session in (select session from sums.moved);
delete from sums.calls where session in (select session from sums.moved);
delete from sums.durations where session in (select session from sums.moved);
delete from sums.spoken where session in (select session from sums.moved);
"""


def carry(before: sqlite3.Connection, connection: sqlite3.Connection) -> bool:
    """Take over the sums of an earlier export and bring them up to date.

    Args:
        before: A connection of the earlier export, with its sums.
        connection: One of the later export, without.

    Returns:
        Whether that was possible; else the sums have to be made.
    """
    try:
        if not _is_next(before, connection):
            return False
        connection.deserialize(before.serialize(name="sums"), name="sums")
        _renew(connection)
    except sqlite3.Error:
        return False  # closed meanwhile, or no memory: there is the other way
    return True


def _is_next(before: sqlite3.Connection, now: sqlite3.Connection) -> bool:
    told, tells = _info(before), _info(now)
    same = all(told.get(name) == tells.get(name) for name in _SAME)
    (orphans,) = before.execute(_ORPHANS).fetchone()
    return bool(told.get("builds")) and same and not orphans


# Rows without a session are of none that could have moved.
_ORPHANS = """select exists (select 1 from sums.quarters where session = -1)
    or exists (select 1 from sums.calls where session = -1)"""


def _info(connection: sqlite3.Connection) -> dict[str, str]:
    there = "select 1 from main.sqlite_master where name = 'export_info'"
    if not connection.execute(there).fetchone():
        return {}
    rows = connection.execute("select name, value from main.export_info")
    return dict(map(tuple, rows))


def _renew(connection: sqlite3.Connection) -> None:
    run = connection.executescript
    run("create temp table before_it as select * from sums.listed")
    sums.list_sessions(connection)
    run(_MOVED + "delete from sums.touched;" + _TOUCHED + _FORGET)
    sums.gather(connection, moved=True)
    run(_TOUCHED)
    tower.renew(connection)
    zoned.renew_all(connection)
