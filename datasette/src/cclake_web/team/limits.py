"""Limit a connection to the sessions that somebody may read.

A limited connection has a view of the same name before each table: queries are those of
everybody, and see only rows of these sessions. SQLite itself refuses to read a table
that has no such view.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cclake_common.search import marks_of_projects

from cclake_web.team.reader import Rights

# Tables without anything about a session: the state of the export, and what a search
# needs, such as the names of tools. Its index is read only joined with a view (see
# `searched` in `cclake_common.search`); the last is what that itself reads.
OPEN = {"export_info", "dim_tools", "json_each", "sqlite_master", "search_texts"}
_SEARCH = "search_fts"
_MINE = "in (select session_id from temp.readable)"
# Columns that name other sessions.
_OTHERS = {
    ("dim_sessions", "parent_session_id"): f"""case when parent_session_id {_MINE}
        then parent_session_id end""",
    ("dim_sessions", "relation"): f"""case when parent_session_id {_MINE}
        then relation end""",
}
# Further conditions: copies of what others own, and images, which belong to no session.
_ALSO = {
    name: f"""exists (select 1 from main.thread_blocks b
        where b.image_key = {name}.image_key and +b.session_id {_MINE})"""
    for name in ("images", "image_data")
} | {"thread_entries": f" and +owner_session_id {_MINE}"}
_PLACES = """
select s.session_id, s.host, p.project_path
from main.dim_sessions s left join main.dim_projects p on p.project_key = s.project_key
union
select r.session_id, r.host, p.project_path
from (select distinct session_id, host, project_key from main.agg_response_quarters) r
left join main.dim_projects p on p.project_key = r.project_key"""
_LIVE = """
select s.session_id, s.host, p.project_path
from dim_sessions s left join dim_projects p on p.project_key = s.project_key"""
_TABLES = (
    "readable (session_id text primary key) without rowid",
    """readable_projects (project_key text primary key, project_name, project_path,
    first_seen_at, last_seen_at)""",
    "readable_marks (name, is_negative)",  # see `limit_marks` in `cclake_common.search`
)
_PROJECTS = f"""
insert into temp.readable_projects
select p.project_key, p.project_name, p.project_path, min(s.started_at), max(s.ended_at)
from main.dim_sessions s join main.dim_projects p on p.project_key = s.project_key
where s.session_id {_MINE} group by p.project_key"""
_OF_PROJECTS = f"""
select coalesce(project_key, ''), max(session_id {_MINE})
from main.dim_sessions group by 1"""
Place = tuple[str, str | None, str | None]


def places(connection: sqlite3.Connection) -> list[Place]:
    """Return each session with each host and each folder that it has been on.

    Lines name their own session and host, so a forged line could name any session. To
    read a session, a user must therefore be allowed to read all of its places.
    """
    connection.row_factory = None
    return list(connection.execute(_PLACES))


def live_places(connection: sqlite3.Connection) -> list[Place]:
    """Return the place of each session with lines that are not published."""
    rows = connection.execute(_LIVE)
    return [(row[0], row[1], row[2]) for row in rows]


def readable(found: Iterable[Place], rights: Rights) -> frozenset[str]:
    """Return the sessions of which all places may be read."""
    known: dict[tuple[str | None, str | None], bool] = {}
    every: set[str] = set()
    closed: set[str] = set()
    for session_id, *place in found:
        host, path = place
        if (host, path) not in known:
            known[host, path] = rights.allow(host, path)
        every.add(session_id)
        if not known[host, path]:
            closed.add(session_id)
    return frozenset(every - closed)


def narrow(connection: sqlite3.Connection, sessions: Collection[str]) -> None:
    """Limit a connection, which must not be in a transaction, to some sessions."""
    connection.row_factory = None
    widen(connection)
    run = connection.execute
    for table in _TABLES:
        run(f"create temp table if not exists {table}")
        run(f"delete from temp.{table.split()[0]}")
    connection.executemany(
        "insert into temp.readable values (?)", ((one,) for one in sessions)
    )
    run(_PROJECTS)
    for marks in marks_of_projects(run(_OF_PROJECTS).fetchall()):
        pairs = ((name, marks.is_negative) for name in marks.names)
        connection.executemany("insert into temp.readable_marks values (?, ?)", pairs)
    for name, kind in run(
        "select name, type from main.sqlite_master where type in ('table', 'view')"
    ).fetchall():
        if view := _view(connection, name, kind):
            run(view)
    connection.set_authorizer(_authorized)


def widen(connection: sqlite3.Connection) -> None:
    """Remove the limit of a connection.

    Its tables stay, as SQLite drops none while another statement reads.
    """
    connection.set_authorizer(None)
    for (name,) in connection.execute(
        "select name from sqlite_temp_master where type = 'view'"
    ).fetchall():
        connection.execute(f'drop view temp."{name}"')


@contextmanager
def narrowed(
    connection: sqlite3.Connection, sessions: Collection[str]
) -> Iterator[None]:
    """Limit a connection for a while."""
    rows = connection.row_factory
    try:
        narrow(connection, sessions)
        connection.row_factory = rows
        yield
    finally:
        connection.row_factory = None
        widen(connection)
        connection.row_factory = rows


def _view(connection: sqlite3.Connection, name: str, kind: str) -> str:
    """Return the view before a table, or "" if nobody with a limit reads it."""
    columns = [
        row[1] for row in connection.execute(f'pragma main.table_info("{name}")')
    ]
    if name == "dim_projects":
        return "create temp view dim_projects as select * from temp.readable_projects"
    if name.startswith(_SEARCH):
        return ""
    if "session_id" in columns:
        # The plus keeps the order and the indexes that a query has without a limit.
        where = f"+session_id {_MINE}{_ALSO.get(name, '')}"
    elif name in _ALSO:
        where = _ALSO[name]
    else:
        return ""
    shown = [
        f'{_OTHERS[name, one]} as "{one}"' if (name, one) in _OTHERS else f'"{one}"'
        for one in columns
    ]
    if kind == "table":
        shown.append("rowid as rowid")
    return (
        f'create temp view "{name}" as select {", ".join(shown)} from main."{name}"'
        f" where {where}"
    )


def _authorized(
    action: int, first: Any, _second: Any, database: Any, within: Any
) -> int:
    """Refuse to read a table that has no view, and to open another file.

    The file is read-only, so other statements do no harm.
    """
    if action == sqlite3.SQLITE_ATTACH:
        return sqlite3.SQLITE_DENY
    is_open = (
        action != sqlite3.SQLITE_READ
        or database == "temp"
        or within is not None
        or first in OPEN
        or str(first).startswith(_SEARCH)
    )
    return sqlite3.SQLITE_OK if is_open else sqlite3.SQLITE_DENY
