"""Read the tree of forks and resumes that a session belongs to."""

import sqlite3

from cclake_web.data.sessions import Row

HIGHEST, DEEPEST, MOST = 50, 20, 200
_COLUMNS = """session_id, title, first_prompt, relation, started_at, ended_at,
    parent_session_id"""


def family(connection: sqlite3.Connection, session_id: str) -> list[Row]:
    """Return the root, then its descendants, each with its `depth`; [] if alone.

    Cycles end the walk. Each session is queried separately, since one query would
    make SQLite read all sessions.
    """
    root = _root(connection, session_id)
    return _below(connection, root) if _has_kin(connection, root) else []


def _root(connection: sqlite3.Connection, session_id: str) -> str:
    at, seen = session_id, {session_id}
    for _ in range(HIGHEST):
        row = connection.execute(
            """select p.session_id from dim_sessions s
            join dim_sessions p on p.session_id = s.parent_session_id
            where s.session_id = ?""",
            (at,),
        ).fetchone()
        if row is None or row[0] in seen:
            break
        at = row[0]
        seen.add(at)
    return at


def _has_kin(connection: sqlite3.Connection, root: str) -> bool:
    sql = "select 1 from dim_sessions where parent_session_id = ? limit 1"
    return connection.execute(sql, (root,)).fetchone() is not None


def _below(connection: sqlite3.Connection, root: str) -> list[Row]:
    found: list[Row] = []
    seen = {root}
    waiting = [(root, 0)]
    while waiting and len(found) < MOST:
        one, depth = waiting.pop()
        row = connection.execute(
            f"select {_COLUMNS} from dim_sessions where session_id = ?", (one,)
        ).fetchone()
        if row is not None:
            found.append(dict(row) | {"depth": depth})
        if depth < DEEPEST:
            children = connection.execute(
                """select session_id from dim_sessions where parent_session_id = ?
                order by started_at desc, session_id desc""",
                (one,),
            ).fetchall()
            waiting += [
                (child, depth + 1) for (child,) in children if child not in seen
            ]
            seen.update(child for (child,) in children)
    return found if len(found) > 1 else []
