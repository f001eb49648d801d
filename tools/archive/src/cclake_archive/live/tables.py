"""Hold unpublished lines in an in-memory copy of the tables of the export.

Tables, indexes and the full-text index have the schema of the export, so that the same
queries work on both.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cclake_common.search import first_number
from cclake_common.sqlite import rows_with_keys
from cclake_common.times import moment
from cclake_common.words import words_of

from cclake_archive.json_text import dumps
from cclake_archive.live.blocks import Block
from cclake_archive.live.reading import (
    MOST_PROMPT,
    MOST_TITLE,
    Line,
    project_key,
    project_path,
)

Row = dict[str, Any]
# Without the tables of SQLite and those that a full-text index creates.
_SCHEMA = r"""select sql from sqlite_master where sql is not null
and name not like 'sqlite\_%' escape '\' and name not like 'search\_fts\_%' escape '\'
order by rowid"""
# Changes of the full-text index, which has what the view `search_texts` has.
_ADD = """insert into search_fts (rowid, text, marks)
select search_id, text, marks from search_texts where search_id = ?"""
_REMOVE = """insert into search_fts (search_fts, rowid, text, marks)
select 'delete', search_id, text, marks from search_texts where search_id = ?"""


@dataclass
class Session:
    """A session with lines that the export lacks.

    Attributes:
        row: Its row of `dim_sessions`.
        sums: Its row of `agg_session_metrics`.
        known: Whether the export has it; if so, its numbers come from there.
        turn: The number of its current turn.
        kin: Sessions of the export that it has copies of.
    """

    row: Row
    sums: Row
    known: bool
    turn: int
    kin: set[str] = field(default_factory=set)


class Call(NamedTuple):
    """A call of a tool, in a line."""

    line: Line
    tool: str


class Tables:
    """A database in memory; hold the lock of the overlay while using it."""

    def __init__(self, export: sqlite3.Connection) -> None:
        self.connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None
        )
        self.connection.row_factory = sqlite3.Row
        self.connection.create_function(
            "search_words", 1, words_of, deterministic=True
        )  # fmt: skip
        for row in export.execute(_SCHEMA).fetchall():
            self.connection.execute(row[0])
        self._columns: dict[str, set[str]] = {}
        self._sessions: dict[str, Session] = {}
        self._owners: dict[str, str] = {}  # the session of each entry
        self._calls: dict[str, Call] = {}  # by their ids
        self._taken: set[int] = set()  # numbers of blocks
        self._found: set[int] = set()  # those that search finds
        self._position = 0

    @property
    def sessions(self) -> list[str]:
        """The ids of the sessions with lines here."""
        return list(self._sessions)

    def is_new(self, session_id: str) -> bool:
        """Return whether the export lacks a session."""
        return not self._sessions[session_id].known

    def kin(self, session_id: str) -> set[str]:
        """Return the sessions whose messages a session repeats."""
        return self._sessions[session_id].kin

    def entries(self, session_id: str, agent: str | None = None) -> list[str]:
        """Return the keys of the entries of a session, or of one of its agents."""
        sql = "select entry_key from thread_entries where session_id = ?"
        sql += " and agent_id = ?" if agent else ""
        given = (session_id, agent) if agent else (session_id,)
        return [row[0] for row in self.connection.execute(sql, given)]

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def add(self, export: sqlite3.Connection, lines: Sequence[Line]) -> None:
        """Add lines, in the order in which they were archived.

        Args:
            export: The export; entries that it has are left out.
            lines: The lines.
        """
        by_session: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            by_session[line.session_id].append(line)
        self.connection.execute("begin")
        for session_id, some in by_session.items():
            if not any(line.kind for line in some) and session_id not in self._sessions:
                continue  # nothing to show yet
            session = self._session(export, session_id, some)
            self._find_kin(export, session, some)
            seen = _keys(export, [session_id], some)
            copied = _keys(export, sorted(session.kin), some)
            for line in some:
                is_copy = line.key in copied
                self._describe(session, line, is_copy)
                if line.kind and line.key not in seen and not self._has(line):
                    self._enter(export, session, line, is_copy)
                    self._count(session, line)
            self._write(session)
        self.connection.execute("commit")

    def _session(
        self, export: sqlite3.Connection, session_id: str, lines: list[Line]
    ) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            row = _one(export, "dim_sessions", "session_id", session_id)
            if row is None:
                session = Session(_begun(lines), {"session_id": session_id}, False, 0)
            else:
                sums = _one(export, "agg_session_metrics", "session_id", session_id)
                asked = (
                    "select max(turn_number) from thread_entries where session_id = ?"
                )
                turn = export.execute(asked, (session_id,)).fetchone()[0]
                session = Session(row, sums or {}, True, turn or 0)
            self._project(export, session, lines)
            self._sessions[session_id] = session
        return session

    def _project(
        self, export: sqlite3.Connection, session: Session, lines: list[Line]
    ) -> None:
        row = session.row
        if not session.known:
            folder = next((line.folder for line in lines if line.folder), "")
            path = project_path(row["cwd"], folder)
            row["project_key"] = project_key(path)
            made = {
                "project_key": row["project_key"], "project_path": path,
                "project_name": path.rstrip("/").rpartition("/")[2] or path,
                "first_seen_at": row["started_at"], "last_seen_at": row["started_at"],
            }  # fmt: skip
        else:
            made = {}
        project = (
            _one(export, "dim_projects", "project_key", row["project_key"]) or made
        )
        if project:
            self._replace("dim_projects", "project_key", project)

    def _find_kin(
        self, export: sqlite3.Connection, session: Session, lines: list[Line]
    ) -> None:
        """Record the sessions whose API messages these lines repeat."""
        found = rows_with_keys(
            export,
            """select distinct session_id from fct_api_responses
            where message_id in ({})""",
            {line.message_id for line in lines if line.message_id},
        )
        named = {row[0] for row in found} | {
            line.origin for line in lines if line.origin
        }
        session.kin |= named - {session.row["session_id"]}

    def _describe(self, session: Session, line: Line, is_copy: bool) -> None:
        """Update the row of a session from a line."""
        row = session.row
        if line.said_at and not is_copy:
            row["started_at"] = min(row["started_at"] or line.said_at, line.said_at)
            row["ended_at"] = max(row["ended_at"] or line.said_at, line.said_at)
        if line.branch and line.branch != "HEAD":
            row["git_branch"] = line.branch
        row["claude_version"] = line.version or row["claude_version"]
        if line.title:
            row["title"] = line.title
        models = [name for name in (row["models"] or "").split(", ") if name]
        if line.model and line.model not in [*models, "<synthetic>"]:
            row["models"] = ", ".join(sorted([*models, line.model]))
        if session.known:
            return
        words = line.words
        if line.kind == "prompt" and words.strip() and not row["first_prompt"]:
            row["first_prompt"] = words.lstrip()[:MOST_PROMPT]
            row["title"] = row["title"] or " ".join(words.split())[:MOST_TITLE]
        if line.origin or session.kin:
            row["parent_session_id"] = line.origin or min(session.kin)
            row["relation"] = "fork" if line.origin else row["relation"] or "copy"

    def _count(self, session: Session, line: Line) -> None:
        """Count an entry of a session that the export does not have."""
        if session.known:
            return
        calls = [one for one in line.blocks if one.kind == "tool_use"]
        counted = {
            "turns": line.kind == "prompt", "prompts": line.kind == "prompt",
            "messages": bool(line.kind), "tool_calls": len(calls),
            "tool_errors": sum(one.is_error for one in line.blocks),
            "api_errors": line.kind == "api_error",
        }  # fmt: skip
        for name, number in counted.items():
            session.sums[name] = session.sums.get(name, 0) + int(number)

    def _enter(
        self, export: sqlite3.Connection, session: Session, line: Line, is_copy: bool
    ) -> None:
        """Write an entry with its blocks."""
        owner = self._owners.setdefault(line.key, line.session_id)
        is_copy = is_copy or owner != line.session_id
        if line.kind == "prompt":
            session.turn += 1
        self._position += 1
        row = {
            "session_id": line.session_id, "position": self._position,
            "entry_key": line.key, "owner_session_id": owner,
            "is_copy": int(is_copy), "agent_id": line.agent_id or None,
            "turn_number": session.turn, "message_kind": line.kind,
            "said_at": line.said_at or None, "message_id": line.message_id or None,
            "model": line.model or None, "doc_id": line.doc_id, "part": 0,
            "type": line.type, "uuid": line.uuid, "host": line.host,
            "project_key": session.row["project_key"],
            "is_sidechain": int(bool(line.agent_id)), "text_chars": len(line.words),
        }  # fmt: skip
        self._insert("thread_entries", row)
        if owner != line.session_id:
            return
        self._insert("fct_messages", row)
        blocks = [*self._calls_before(export, line), *line.blocks]
        for number, block in enumerate(blocks, 1):
            self._block(line, row, number, block, is_copy)

    def _has(self, line: Line) -> bool:
        sql = "select 1 from thread_entries where session_id = ? and entry_key = ?"
        found = self.connection.execute(sql, (line.session_id, line.key))
        return found.fetchone() is not None

    def _calls_before(self, export: sqlite3.Connection, line: Line) -> list[Block]:
        """Return the calls that the export has and that these results answer."""
        asked = {
            one.tool_use_id
            for one in line.blocks
            if one.kind == "tool_result" and one.tool_use_id not in self._calls
        }
        sql = """select tool_use_id, tool_name, tool_input from thread_blocks
        where tool_use_id in ({}) and block_kind = 'tool_use'"""
        found = [
            Block("tool_use", "", row[0], row[1] or "", row[2] or "")
            for row in rows_with_keys(export, sql, asked)
        ]
        for block in found:
            self._call(line, block)
        return found

    def _call(self, line: Line, block: Block) -> None:
        self._calls[block.tool_use_id] = Call(line, block.tool_name)
        self._insert("fct_tool_calls", {
            "tool_use_id": block.tool_use_id, "message_id": line.message_id,
            "session_id": line.session_id, "tool_name": block.tool_name, "is_error": 0,
            "called_at": line.said_at, "agent_id": line.agent_id or None,
            "call_entry_key": line.key,
        })  # fmt: skip
        self._replace("dim_tools", "tool_name", {"tool_name": block.tool_name})

    def _block(
        self, line: Line, entry: Row, number: int, block: Block, is_copy: bool
    ) -> None:
        given = block.input
        if block.kind == "tool_use" and not isinstance(given, str):
            given = dumps(given)
            if block.tool_use_id:
                self._call(line, block)
        search_id = first_number(line.said_at)
        while search_id in self._taken:
            search_id += 1
        self._taken.add(search_id)
        is_result = block.kind == "tool_result"
        call = self._calls.get(block.tool_use_id) if is_result else None
        row = {
            "search_id": search_id, "project_key": entry["project_key"],
            "entry_key": line.key, "session_id": line.session_id, "block_no": number,
            "block_kind": block.kind, "text": block.text or None,
            "tool_use_id": block.tool_use_id or None,
            "tool_name": block.tool_name or None, "tool_input": given,
            "result_json": None if block.result is None else dumps(block.result),
            "is_error": int(block.is_error), "image_key": block.image_key or None,
            "result_tool": call.tool if call else None,
            "error_kind": "other" if call and block.is_error else None,
        }  # fmt: skip
        text = f"{block.tool_name} {given}" if block.kind == "tool_use" else block.text
        words = words_of(text)
        row["words"] = words if words != text else None
        self._insert("thread_blocks", row)
        if not is_copy and self.connection.execute(_ADD, (search_id,)).rowcount:
            self._found.add(search_id)
        if call:
            self._answer(call, line, block)

    def _answer(self, call: Call, line: Line, block: Block) -> None:
        """Record the result of a call."""
        if block.is_error:
            self._fail(block.tool_use_id)
        called = moment(call.line.said_at)
        came = moment(line.said_at)
        took = (came - called).total_seconds() * 1000 if called and came else None
        self.connection.execute(
            """update fct_tool_calls set result_entry_key = ?, is_error = ?,
            duration_ms = ?, subagent_id = ? where tool_use_id = ?""",
            (
                line.key,
                int(block.is_error),
                took,
                line.agent or None,
                block.tool_use_id,
            ),
        )

    def _fail(self, tool_use_id: str) -> None:
        """Record in the block of a call that it failed."""
        run = self.connection.execute
        rows = run(
            """select search_id from thread_blocks
            where tool_use_id = ? and block_kind = 'tool_use'""",
            (tool_use_id,),
        ).fetchall()
        for (number,) in rows:
            if number in self._found:
                run(_REMOVE, (number,))
            run(
                "update thread_blocks set error_kind = 'other' where search_id = ?",
                (number,),
            )
            if number in self._found:
                run(_ADD, (number,))

    def _write(self, session: Session) -> None:
        begin, end = (moment(session.row[name]) for name in ("started_at", "ended_at"))
        if begin and end:
            session.row["wall_s"] = (end - begin).total_seconds()
        if not session.known:
            session.row["active_s"] = session.row["wall_s"]
        self._replace("dim_sessions", "session_id", session.row)
        if session.sums:
            self._replace("agg_session_metrics", "session_id", session.sums)

    def _replace(self, table: str, key: str, row: Row) -> None:
        self.connection.execute(f"delete from {table} where {key} = ?", (row[key],))
        self._insert(table, row)

    def _insert(self, table: str, row: Row) -> None:
        """Insert the columns that a table of the export has; skip views."""
        if table not in self._columns:
            sql = """select c.name from sqlite_master t join pragma_table_info(t.name) c
            where t.name = ? and t.type = 'table'"""
            found = self.connection.execute(sql, (table,))
            self._columns[table] = {name for (name,) in found}
        kept = {name: row[name] for name in row if name in self._columns[table]}
        if kept:
            names, marks = ", ".join(kept), ", ".join("?" * len(kept))
            sql = f"insert into {table} ({names}) values ({marks})"
            self.connection.execute(sql, tuple(kept.values()))


def _begun(lines: list[Line]) -> Row:
    """Return the first row of a session that the export lacks."""
    first = lines[0]
    said = min((line.said_at for line in lines if line.said_at), default=None)
    return {
        "session_id": first.session_id, "host": first.host, "project_key": "",
        "title": "", "title_source": "none", "first_prompt": "", "git_branch": "",
        "cwd": next((line.cwd for line in lines if line.cwd), ""),
        "claude_version": "", "started_at": said, "ended_at": said, "wall_s": None,
        "active_s": None, "parent_session_id": None, "relation": None, "models": "",
    }  # fmt: skip


def _keys(
    export: sqlite3.Connection, sessions: Iterable[str], lines: Iterable[Line]
) -> set[str]:
    """Return the entries of these lines that the sessions of the export have."""
    sql = """select entry_key from thread_entries
    where session_id = ? and entry_key in ({})"""
    wanted = {line.key for line in lines if line.kind}
    return {
        row[0]
        for session_id in sessions
        for row in rows_with_keys(export, sql, wanted, session_id)
    }


def _one(export: sqlite3.Connection, table: str, column: str, value: Any) -> Row | None:
    cursor = export.execute(f"select * from {table} where {column} = ?", (value,))
    found = cursor.fetchone()
    if found is None:
        return None
    names = (each[0] for each in cursor.description)
    return dict(zip(names, tuple(found), strict=True))
