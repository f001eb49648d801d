"""The operations on files: of a session, of one file, and of a selection."""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cclake_common.masking import mask

from cclake_web.data import sessions, thread
from cclake_web.data.blocks import Call, calls_of
from cclake_web.data.filters import Filters, like
from cclake_web.data.thread import PROMPT_CHARS

PAGE = 100  # files
EDITS = 15  # of one file on a page
LOOKED_AT = 10_000  # operations in which a search looks for files
OFFERED = 5  # files that a search offers
ORDERS = {
    "lines": ("Lines", "total(lines_added) + total(lines_removed)"),
    "edits": ("Edits", "count(*)"),
    "sessions": ("Sessions", "count(distinct session_id)"),
    "newest": ("Newest", "max(called_at)"),
}  # fmt: skip
_CHANGES = "operation in ('create', 'write', 'edit')"
# One word that may be the name of a file, or the end of a path.
_PATH = re.compile(r"\S{3,400}")
_LAST = chr(0x10FFFF)


@dataclass(frozen=True)
class Change:
    """One call that changed a file.

    Attributes:
        entry_key: The entry of the call, "" if it is unknown.
        said_at: When it was called.
        added: Lines added; None if the log does not say.
        removed: Lines removed; None if the log does not say.
        is_error: Whether it failed or was rejected.
    """

    entry_key: str
    said_at: str
    added: int | None
    removed: int | None
    is_error: bool


@dataclass
class File:
    """The operations of a session on a file.

    Attributes:
        path: The path in the log.
        named: The same with its secrets masked.
        shown: The masked path below the project.
        changes: The calls that changed it, in order.
        reads: Number of calls that read it.
    """

    path: str
    named: str = ""
    shown: str = ""
    changes: list[Change] = field(default_factory=list)
    reads: int = 0

    @property
    def added(self) -> int:
        """Lines added, as far as the log says."""
        return sum(one.added or 0 for one in self.changes)

    @property
    def removed(self) -> int:
        """Lines removed, as far as the log says."""
        return sum(one.removed or 0 for one in self.changes)


@dataclass
class Edit:
    """One call that changed a file, with what led to it.

    Attributes:
        call: The call with its result.
        row: Session, project, lines and time.
        prompt: The text of the prompt that it follows.
        prompt_key: The entry of that prompt, "" if there is none.
    """

    call: Call
    row: dict[str, Any]
    prompt: str = ""
    prompt_key: str = ""


def of_session(connection: sqlite3.Connection, session_id: str) -> list[File]:
    """Return the files of a session, those with most changed lines first."""
    rows = connection.execute(
        """select o.file_path, o.operation, o.is_error, o.lines_added, o.lines_removed,
        o.called_at, c.call_entry_key from fct_file_operations o
        left join fct_tool_calls c on c.tool_use_id = o.tool_use_id
        where o.session_id = ? order by o.called_at""",
        (session_id,),
    )
    found: dict[str, File] = {}
    for row in rows:
        path = row["file_path"]
        file = found.setdefault(path, File(path))
        if row["operation"] == "read":
            file.reads += 1
        else:
            file.changes.append(_change(row))
    return sorted(
        found.values(),
        key=lambda one: (-bool(one.changes), -one.added - one.removed, one.path),
    )


def _change(row: sqlite3.Row) -> Change:
    return Change(
        row["call_entry_key"] or "", row["called_at"] or "",
        row["lines_added"], row["lines_removed"], bool(row["is_error"]),
    )  # fmt: skip


def shown(files: Sequence[File], root: str, reveal: bool) -> list[File]:
    """Return files with the paths that are shown: below the project, masked."""
    start = root.rstrip("/\\") + ("\\" if "\\" in root else "/")
    named = [one.path if reveal else mask(one.path) for one in files]
    return [
        replace(one, named=name, shown=name.removeprefix(start))
        for one, name in zip(files, named, strict=True)
    ]


def about(connection: sqlite3.Connection, path: str) -> dict[str, Any] | None:
    """Return the counts of one file; None if no session touched it."""
    row = connection.execute(
        f"""select count(*) as operations,
        count(distinct case when {_CHANGES} then session_id end) as sessions,
        coalesce(sum({_CHANGES}), 0) as edits, sum(operation = 'read') as reads,
        coalesce(sum(is_error), 0) as failed, sum(lines_added) as added,
        sum(lines_removed) as removed, min(called_at) as first, max(called_at) as last,
        count(distinct host) as hosts
        from fct_file_operations where file_path = ?""",
        (path,),
    ).fetchone()
    return dict(row) if row["operations"] else None


def history(
    connection: sqlite3.Connection, path: str, offset: int = 0, reveal: bool = False
) -> tuple[list[Edit], bool]:
    """Return a page of the changes of a file, newest first, and whether more follow."""
    rows = connection.execute(
        f"""with chosen as materialized (
            select rowid as row, called_at from fct_file_operations
            where file_path = ? and {_CHANGES}
            order by called_at desc, rowid desc limit {EDITS + 1} offset ?
        )
        select o.tool_use_id, o.session_id, o.host, o.called_at, o.lines_added,
        o.lines_removed, o.is_error, o.operation, o.agent_id, c.call_entry_key,
        s.title, s.first_prompt, s.project_key, p.project_name
        from chosen join fct_file_operations o on o.rowid = chosen.row
        left join fct_tool_calls c on c.tool_use_id = o.tool_use_id
        left join dim_sessions s on s.session_id = o.session_id
        left join dim_projects p on p.project_key = s.project_key
        order by chosen.called_at desc, chosen.row desc""",
        (path, offset),
    ).fetchall()
    found = [_edit(connection, dict(row), reveal) for row in rows[:EDITS]]
    return list(filter(None, found)), len(rows) > EDITS


def _edit(
    connection: sqlite3.Connection, row: dict[str, Any], reveal: bool
) -> Edit | None:
    entry = thread.entry(
        connection, row["session_id"], row["call_entry_key"] or "", reveal
    )
    if entry is None:
        return None
    call = calls_of(connection, [entry], reveal).get(row["tool_use_id"])
    if call is None:
        return None
    edit = Edit(call, row)
    # Positions follow time, so an agent's call comes after the prompt that led to it.
    prompt = connection.execute(
        """select entry_key, owner_session_id from thread_entries
        where session_id = ? and agent_id is null and position <= ?
        and message_kind = 'prompt' order by position desc limit 1""",
        (row["session_id"], entry.position),
    ).fetchone()
    if prompt:
        edit.prompt_key = prompt["entry_key"]
        text = connection.execute(
            f"""select substr(text, 1, {PROMPT_CHARS}) from thread_blocks
            where session_id = ? and entry_key = ? and block_kind = 'text'
            order by block_no limit 1""",
            (prompt["owner_session_id"], prompt["entry_key"]),
        ).fetchone()
        edit.prompt = (text[0] if text else "") or ""
    return edit


def most_changed(
    connection: sqlite3.Connection,
    filters: Filters,
    order: str = "lines",
    part: str = "",
    offset: int = 0,
) -> tuple[list[dict[str, Any]], bool]:
    """Return a page of the files that a selection changed, and whether more follow.

    Args:
        connection: Of the export.
        filters: The selection; dates are those of the changes.
        order: One of `ORDERS`.
        part: A part of the path, "" for all.
        offset: Number of files on the pages before.
    """
    low, high = filters.bounds()
    conditions, values = [_CHANGES], {"offset": offset, "part": f"%{like(part)}%"}
    if low:
        conditions.append("called_at >= :from_time")
    if high:
        conditions.append("called_at < :to_time")
    if part:
        conditions.append(r"file_path like :part escape '\'")
    chosen, more = sessions.subset(connection, replace(filters, since="", until=""))
    if chosen:
        # The plus makes SQLite use the index that has all columns.
        conditions.append(f"+session_id in ({chosen})")
    values |= more | {"from_time": low, "to_time": high}
    rows = connection.execute(
        f"""select file_path, count(*) as edits, count(distinct session_id) as sessions,
        sum(lines_added) as added, sum(lines_removed) as removed,
        coalesce(sum(is_error), 0) as failed, max(called_at) as last
        from fct_file_operations where {" and ".join(conditions)} group by file_path
        order by {ORDERS[order][1]} desc, file_path limit {PAGE + 1} offset :offset""",
        values,
    ).fetchall()
    return [dict(row) for row in rows[:PAGE]], len(rows) > PAGE


def named(connection: sqlite3.Connection, words: str) -> list[str]:
    """Return paths of files whose name begins with what was typed, the best first.

    Args:
        connection: Of the export.
        words: One word: the beginning of a name, with or without folders. Nothing
            is found for several words.
    """
    wanted = words.strip().strip("\"'`").removesuffix("*").replace("\\", "/")
    if not _PATH.fullmatch(wanted):
        return []
    folder, _, name = wanted.rpartition("/")
    if not name:
        return []
    rows = connection.execute(
        r"""select file_path from (
            select file_path, file_name from fct_file_operations
            where file_name >= :name and file_name < :last limit :looked_at
        ) where replace(file_path, '\', '/') like :path escape '\'
        group by file_path order by max(file_name = :name) desc, count(*) desc,
        file_path limit :most""",
        {
            "name": name, "last": name + _LAST, "most": OFFERED, "looked_at": LOOKED_AT,
            "path": f"%{like(f'{folder}/{name}' if folder else name)}%",
        },
    )  # fmt: skip
    # Paths that need masking can't be offered: the address would contain them.
    return [path for (path,) in map(tuple, rows) if mask(path) == path]
