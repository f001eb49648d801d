"""Query sessions and the files that they changed."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cclake_common.failure import Failure
from cclake_common.masking import mask
from cclake_common.search import Within

from cclake_recall.find import Row, permalink, title

SORTS = {
    "recent": "coalesce(s.ended_at, s.started_at, '')",
    "cost": "coalesce(m.cost_usd, 0)",
    "tokens": "coalesce(m.total_tokens, 0)",
    "turns": "coalesce(m.turns, 0)",
    "time": "coalesce(s.active_s, s.wall_s, 0)",
    "errors": "coalesce(m.tool_errors, 0) + coalesce(m.api_errors, 0)",
}
_FROM = """from dim_sessions s
left join agg_session_metrics m on m.session_id = s.session_id
left join dim_projects p on p.project_key = s.project_key"""
_COLUMNS = """s.session_id, s.title, s.first_prompt, s.host, s.project_key,
p.project_name, s.git_branch, s.cwd, s.started_at, s.ended_at, s.models,
m.turns, m.tool_calls, m.tool_errors, m.api_errors, m.total_tokens, m.cost_usd"""
_MODEL = "',' || replace(s.models, ', ', ',') || ',' like :model"
_ABOUT = """instr(fold(coalesce(s.title, '') || ' ' || coalesce(s.first_prompt, '')
|| ' ' || coalesce(p.project_name, '')), :{})"""


class Placed(NamedTuple):
    """A session, and what a list sorts it by."""

    place: Any
    row: Row


def projects(connections: Sequence[sqlite3.Connection], part: str) -> tuple[str, ...]:
    """Return the keys of the projects whose name or path has a part.

    Raises:
        Failure: There is none.
    """
    if not part:
        return ()
    sql = "select project_key, project_name, project_path from dim_projects"
    rows = [row for one in connections for row in one.execute(sql)]
    wanted = part.lower()
    found = [row[0] for row in rows if wanted in " ".join(map(str, row)).lower()]
    if not found:
        raise Failure(f"no project has {part!r} in its name or path")
    return tuple(dict.fromkeys(found))


def placed(
    connection: sqlite3.Connection,
    within: Within,
    *,
    words: str = "",
    folder: str = "",
    sort: str = "recent",
    limit: int = 20,
) -> list[Placed]:
    """Return the first sessions of a selection in an order.

    Args:
        connection: Of the export, or of the lines above it.
        within: The selection.
        words: Each must be in the title, the first prompt or the project's name.
        folder: Return only those that ran in this folder.
        sort: A key of `SORTS`.
        limit: Maximum number of sessions.
    """
    connection.create_function("fold", 1, _fold, deterministic=True)
    keys = {f"project{n}": key for n, key in enumerate(within.projects)}
    said = {f"word{n}": word for n, word in enumerate(words.lower().split())}
    pairs = (
        (keys, f"s.project_key in ({', '.join(f':{name}' for name in keys)})"),
        (within.host, "s.host = :host"),
        (within.branch, "s.git_branch = :branch"),
        (within.account, within.of_account("s")),
        (within.model, _MODEL),
        (within.low, "coalesce(s.ended_at, s.started_at) >= :low"),
        (within.high, "s.started_at < :high"),
        (folder, "s.cwd = :folder"),
        *((word, _ABOUT.format(name)) for name, word in said.items()),
    )
    wanted = [sql for value, sql in pairs if value]
    where = f"where {' and '.join(wanted)}" if wanted else ""
    values = {
        "host": within.host, "branch": within.branch, "model": f"%{within.model}%",
        "low": within.low, "high": within.high, "folder": folder,
        "limit": limit,
    }  # fmt: skip
    rows = connection.execute(
        f"""select {SORTS[sort]} as place, {_COLUMNS} {_FROM} {where}
        order by place desc, s.session_id desc limit :limit""",
        values | keys | said,
    )
    return [Placed(row["place"], _session(dict(row))) for row in rows]


def session(connections: Sequence[sqlite3.Connection], given: str) -> Row:
    """Return one session by its id, or by the beginning of its id.

    Args:
        connections: Where to look; the last one that has the session describes it.
        given: The id, or its beginning.

    Raises:
        Failure: No session, or more than one, has such an id.
    """
    sql = f"select {_COLUMNS} {_FROM} where s.session_id"
    found = [row for one in connections for row in one.execute(f"{sql} = ?", (given,))]
    if not found and given:
        begins = f"{sql} >= ? and s.session_id < ? limit 4"
        both = (given, f"{given}\U0010ffff")
        found = [row for one in connections for row in one.execute(begins, both)]
    rows = list({row["session_id"]: row for row in found}.values())
    if not rows:
        raise Failure(
            f"no session has the id {given!r}", "`recall list` shows the newest."
        )
    if len(rows) > 1:
        some = ", ".join(row["session_id"] for row in rows[:3])
        raise Failure(f"several sessions begin with {given!r}: {some} …")
    return _session(dict(rows[0]))


def _session(row: Row) -> Row:
    # The folder is not masked, since `resume` must find it.
    return {
        "session": row["session_id"],
        "title": title(row),
        "host": row["host"],
        "project": mask(row["project_name"] or row["project_key"] or ""),
        "branch": mask(row["git_branch"] or ""),
        "folder": row["cwd"],
        "started_at": row["started_at"],
        "ended_at": row["ended_at"],
        "models": [name for name in (row["models"] or "").split(",") if name],
        "turns": row["turns"],
        "tool_calls": row["tool_calls"],
        "errors": (row["tool_errors"] or 0) + (row["api_errors"] or 0),
        "tokens": row["total_tokens"],
        "cost_usd": row["cost_usd"],
        "url": permalink(row["session_id"]),
    }


def _fold(text: Any) -> str:
    return str(text).lower()


def changes(
    connection: sqlite3.Connection,
    path: str,
    within: Within,
    *,
    reads: bool = False,
    limit: int = 50,
) -> Iterator[Row]:
    """Yield the operations on a file or below a folder, the newest first.

    Args:
        connection: Of the export.
        path: A file or a folder. A relative one is that below the current folder, or
            the end of any path.
        within: Projects, host and times.
        reads: Whether to include operations that only read.
        limit: Maximum number of operations.
    """
    whole = str(Path(path).absolute())
    end = f"/{path.strip('/')}"
    keys = {f"project{n}": key for n, key in enumerate(within.projects)}
    pairs = (
        (keys, f"f.project_key in ({', '.join(f':{name}' for name in keys)})"),
        (within.host, "f.host = :host"),
        (within.low, "f.called_at >= :low"),
        (within.high, "f.called_at < :high"),
        (not reads, "f.operation <> 'read'"),
    )
    wanted = "".join(f" and {sql}" for value, sql in pairs if value)
    values = {
        "path": path, "whole": whole, "below": f"{whole}/", "above": f"{whole}0",
        "relative": not path.startswith("/"), "end": end, "size": len(end),
        "host": within.host, "low": within.low, "high": within.high, "limit": limit,
    }  # fmt: skip
    rows = connection.execute(
        f"""select f.called_at, f.session_id, c.call_entry_key, f.operation,
            f.tool_name, f.file_path, f.lines_added, f.lines_removed, f.is_error,
            f.host, coalesce(p.project_name, f.project_key, '') as project, s.title,
            s.first_prompt
        from fct_file_operations f
        left join fct_tool_calls c on c.tool_use_id = f.tool_use_id
        left join dim_sessions s on s.session_id = f.session_id
        left join dim_projects p on p.project_key = f.project_key
        where (f.file_path in (:path, :whole)
            or (f.file_path >= :below and f.file_path < :above)
            or (:relative and (substr(f.file_path, -:size) = :end
                or instr(f.file_path, :end || '/')))) {wanted}
        order by f.called_at desc limit :limit""",
        values | keys,
    )
    for row in rows:
        yield {
            "at": row["called_at"],
            "session": row["session_id"],
            "message": row["call_entry_key"],
            "operation": row["operation"],
            "tool": mask(row["tool_name"] or ""),
            "path": mask(row["file_path"] or ""),
            "added": row["lines_added"],
            "removed": row["lines_removed"],
            "failed": bool(row["is_error"]),
            "host": row["host"],
            "project": mask(row["project"]),
            "title": title(row),
            "url": permalink(row["session_id"], row["call_entry_key"]),
        }
