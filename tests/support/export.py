"""Builds a small export (SQLite, as docs/contracts.md section 6 says) for web tests."""

import base64
import hashlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import quarters
from cclake_common.words import words_of
from cclake_publish.indexes import INDEXES as PUBLISHED
from cclake_publish.indexes import SEARCH, VIEWS

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
SCHEMA = {
    "dim_sessions": "session_id primary key, host, project_key, title, title_source, first_prompt, git_branch, cwd, claude_version, started_at, ended_at, wall_s, active_s, parent_session_id, relation, models, updated_run",
    "dim_projects": "project_key primary key, project_name, project_path, first_seen_at, last_seen_at",
    "dim_models": "model primary key, family, is_priced",
    "dim_agents": "session_id, agent_id, agent_type, description, tool_use_id, parent_agent_id, started_at, workflow_run_id",
    "dim_workflow_runs": "session_id, workflow_run_id, tool_use_id, workflow_name, status, agents integer, total_tokens integer, phases, result",
    "dim_tools": "tool_name primary key, category, is_mcp, mcp_server",
    "agg_session_metrics": "session_id primary key, turns, prompts, messages, tool_calls, tool_errors, api_errors, subagents, compactions, api_responses, unpriced_responses, uncounted_responses, final_responses, input_tokens, output_tokens, cache_write_tokens, cache_read_tokens, total_tokens, cost_usd",
    "fct_messages": "entry_key primary key, doc_id, part, session_id, project_key, host, type, subtype, message_kind, uuid, parent_uuid, message_id, request_id, model, agent_id, is_sidechain, turn_number, said_at, text_chars",
    "thread_entries": "session_id, position integer, entry_key, owner_session_id, is_copy, agent_id, turn_number integer, message_kind, said_at, message_id, model, doc_id, part",
    "thread_blocks": "search_id integer primary key, session_id, entry_key, block_no integer, block_kind, tool_use_id, tool_name, is_error, image_key, text, tool_input, result_json, words, project_key, result_tool, error_kind",
    "images": "image_key primary key, media_type, bytes integer, doc_id, part integer, place integer, extract_run integer",
    "image_data": "image_key primary key, data blob",
    "fct_api_responses": "response_key, message_id, request_id, session_id, project_key, host, model, responded_at, agent_id, is_sidechain, input_tokens integer, output_tokens integer, cache_write_5m_tokens integer, cache_write_1h_tokens integer, cache_write_tokens integer, cache_read_tokens integer, context_tokens integer, web_search_requests integer, speed, usage_final, cost_usd real, model_name, price_parts integer, is_priced integer, total_tokens integer, turn_number integer, entry_key, input_usd real, cache_write_5m_usd real, cache_write_1h_usd real, cache_read_price real, price_multiplier real",
    "fct_response_items": "response_key, item_no integer, message_id, session_id, project_key, host, model_name, responded_at, agent_id, is_sidechain, is_main, is_response, is_first_of_model, is_first_unpriced, is_priced, usage_final, input_tokens integer, output_tokens integer, cache_write_tokens integer, cache_read_tokens integer, total_tokens integer, context_tokens integer, cost_usd real",
    "fct_file_operations": "tool_use_id, session_id, project_key, host, agent_id, tool_name, operation, file_path, file_name, file_extension, is_error, lines_added integer, lines_removed integer, called_at",
    "fct_tool_calls": "tool_use_id, message_id, session_id, project_key, tool_name, tool_category, is_error, error_kind, duration_ms, called_at, agent_id, subagent_id, call_entry_key, result_entry_key, turn_number integer",
}
_COUNTED = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
OPERATIONS = {"Read": "read", "Edit": "edit", "Write": "create"}
INDEXES = (
    ("thread_entries", "session_id, position"),
    ("thread_entries", "session_id, entry_key"),
    ("thread_blocks", "session_id, entry_key, block_no"),
    ("thread_blocks", "tool_use_id"),
    ("thread_blocks", "image_key"),
    ("fct_messages", "session_id, entry_key"),
    ("fct_api_responses", "session_id"),
    ("fct_api_responses", "message_id"),
    ("fct_tool_calls", "session_id"),
    ("fct_tool_calls", "tool_use_id"),
    *(
        one
        for one in PUBLISHED
        if one[0] in (*quarters.MARTS, "fct_file_operations", "dim_sessions")
    ),
)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _search_id(said_at: str | None, taken: set[int]) -> int:
    """Return a number for a block that is free, as publish does."""
    if said_at:
        seconds = int(datetime.fromisoformat(said_at).timestamp())
        number = min(max(seconds, 0), 2**32 - 1) * 2**8
    else:
        number = -(2**31)
    while number in taken:
        number += 1
    taken.add(number)
    return number


class Export:
    """Collects rows of every table; `write` makes the file and swaps it in."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.serial = 0
        self.info: dict[str, str] = {}

    def add(self, table: str, **values: Any) -> None:
        self.rows[table].append(values)

    def key(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}{self.serial:06d}"

    def session(self, session_id: str, **values: Any) -> "Session":
        return Session(self, session_id, **values)

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.stem}-{uuid4().hex}.db")
        connection = sqlite3.connect(new)
        connection.executescript("pragma journal_mode = off; pragma synchronous = off;")
        # Blocks are numbered in the order of time.
        said = {row["entry_key"]: row["said_at"] for row in self.rows["thread_entries"]}
        taken: set[int] = set()
        calls = {row["tool_use_id"]: row for row in self.rows["fct_tool_calls"]}
        projects = {
            row["session_id"]: row["project_key"] for row in self.rows["dim_sessions"]
        }
        self.rows["dim_tools"] = [
            {"tool_name": name} for name in {row["tool_name"] for row in calls.values()}
        ]
        for row in self.rows["thread_blocks"]:
            row["project_key"] = projects[row["session_id"]]
            if call := calls.get(row.get("tool_use_id")):
                if row["block_kind"] == "tool_result":
                    row["result_tool"] = call["tool_name"]
                if call["is_error"]:
                    row["error_kind"] = call.get("error_kind") or "other"
            row["search_id"] = _search_id(said[row["entry_key"]], taken)
            text = row.get("text") or ""
            if row["block_kind"] == "tool_use":
                text = f"{row['tool_name']} {row['tool_input']}"
            if (words := words_of(text)) != text:
                row["words"] = words
        uncounted: Counter[str] = Counter()
        for row in self.rows["fct_api_responses"]:
            row.setdefault("response_key", row["message_id"])
            row.setdefault("model_name", row["model"])
            row.setdefault("price_parts", 1)
            row.setdefault("is_priced", int(row["cost_usd"] is not None))
            if row["input_tokens"] is None:
                uncounted[row["session_id"]] += 1
        for row in self.rows["agg_session_metrics"]:
            row["uncounted_responses"] = uncounted[row["session_id"]]
        for table, columns in SCHEMA.items():
            connection.execute(f'create table "{table}" ({columns})')
            names = [part.split()[0] for part in columns.split(", ")]
            connection.executemany(
                f"insert into {table} values ({','.join('?' * len(names))})",
                ([row.get(name) for name in names] for row in self.rows[table]),
            )
        quarters.add(connection)
        for number, (table, columns) in enumerate(INDEXES):
            connection.execute(f"create index i{number} on {table} ({columns})")
        connection.executescript(
            ";".join(SEARCH) + ";"
            f"create view search_documents as {VIEWS['search_documents']};"
            "insert into search_fts(search_fts) values ('rebuild');"
            "create table export_info (name primary key, value);"
        )
        info = {"schema_version": "1", "published_at": stamp(datetime.now(UTC))}
        info["export_id"] = uuid4().hex
        info |= self.info
        connection.executemany("insert into export_info values (?,?)", info.items())
        connection.execute("analyze")
        connection.commit()
        connection.execute("pragma journal_mode = wal")
        connection.close()
        link = path.with_suffix(".link")
        link.symlink_to(new.name)
        former = path.resolve()
        link.replace(path)
        if former != path:
            former.unlink()
        return path


def publish_in_place(path: Path, *changes: str) -> None:
    """Change an export that is served, as `publish` does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("begin immediate")
        for change in changes:
            db.execute(change)
        db.execute(
            "update export_info set value = ? where name = 'export_id'", [uuid4().hex]
        )
        db.execute("commit")
        db.execute("pragma wal_checkpoint(truncate)")


class Session:
    """One session; each method appends entries and moves the clock."""

    def __init__(
        self,
        export: Export,
        session_id: str,
        *,
        title: str = "A session",
        project: str = "alpha",
        model: str = "claude-opus-4-6",
        host: str = "laptop",
        branch: str = "main",
        start: datetime = datetime(2026, 8, 1, 10, tzinfo=UTC),
        **values: Any,
    ) -> None:
        self.export, self.id, self.model = export, session_id, model
        self.host, self.project, self.clock, self.start = host, project, start, start
        self.position = self.turn = 0
        self.agent: str | None = None
        self.count: dict[str, float] = defaultdict(float)
        self.unpriced = False
        self.models = {model: None}
        self.dim = {
            "session_id": session_id, "host": host, "project_key": project,
            "title": title, "title_source": "ai-title", "git_branch": branch,
            "cwd": f"/home/me/{project}", "claude_version": "2.1.200",
            **values,
        }  # fmt: skip

    def entry(self, kind: str, blocks: list[dict[str, Any]], **values: Any) -> str:
        """Append an entry with its blocks; returns its key."""
        self.position += 1
        self.clock += timedelta(seconds=values.pop("after", 5))
        type_ = values.pop("record_type", "assistant" if kind == "answer" else "user")
        key = values.pop("entry_key", None) or self.export.key("e")
        common = {
            "session_id": self.id, "entry_key": key, "agent_id": self.agent,
            "turn_number": self.turn, "message_kind": kind, "said_at": stamp(self.clock),
            "doc_id": hashlib.blake2b(key.encode(), digest_size=24).hexdigest(),
            "part": 0, "is_copy": 0, "owner_session_id": self.id, **values,
        }  # fmt: skip
        self.export.add("thread_entries", position=self.position, **common)
        if common["is_copy"]:
            return key
        self.count["messages"] += 1
        texts = [b.get("text") or "" for b in blocks if b["block_kind"] == "text"]
        self.export.add(
            "fct_messages", **common, project_key=self.project, host=self.host,
            type=type_,
            is_sidechain=int(bool(self.agent)), text_chars=sum(map(len, texts)),
        )  # fmt: skip
        for number, block in enumerate(blocks):
            self.export.add(
                "thread_blocks", entry_key=key, session_id=self.id, block_no=number,
                **block,
            )  # fmt: skip
        return key

    def prompt(self, text: str, *, image: bytes | None = None, **values: Any) -> str:
        self.turn += 1
        self.count["prompts"] += 1
        self.dim.setdefault("first_prompt", text[:200])
        blocks: list[dict[str, Any]] = [{"block_kind": "text", "text": text}]
        if image:
            key = hashlib.blake2b(image, digest_size=16).hexdigest()
            if all(row["image_key"] != key for row in self.export.rows["images"]):
                self.export.add(
                    "images", image_key=key, media_type="image/png", bytes=len(image)
                )
                self.export.add("image_data", image_key=key, data=image)
            blocks.append({"block_kind": "image", "image_key": key})
        return self.entry("prompt", blocks, **{"after": 40, **values})

    def answer(
        self,
        text: str = "",
        *,
        thinking: str | None = None,
        tools: tuple[tuple[str, dict[str, Any]], ...] = (),
        cost: float | None = 0.05,
        **values: Any,
    ) -> list[str]:
        """One API response; returns the ids of its tool calls."""
        message = self.export.key("msg_")
        model = values.pop("model", self.model)
        self.models[model] = None
        blocks: list[dict[str, Any]] = []
        if thinking is not None:
            blocks.append({"block_kind": "thinking", "text": thinking})
        if text:
            blocks.append({"block_kind": "text", "text": text})
        ids = []
        for name, given in tools:
            ids.append(self.export.key("toolu_"))
            blocks.append({
                "block_kind": "tool_use", "tool_use_id": ids[-1], "tool_name": name,
                "tool_input": json.dumps(given),
            })  # fmt: skip
        key = self.entry("answer", blocks, message_id=message, model=model, **values)
        for one, (name, given) in zip(ids, tools, strict=True):
            self.count["tool_calls"] += 1
            self.export.add(
                "fct_tool_calls", tool_use_id=one, message_id=message,
                session_id=self.id, project_key=self.project, tool_name=name, is_error=0,
                called_at=stamp(self.clock), agent_id=self.agent, call_entry_key=key,
                turn_number=self.turn,
            )  # fmt: skip
            if name in OPERATIONS and "file_path" in given:
                self._file(one, name, given["file_path"])
        usage = {
            "input_tokens": 12, "output_tokens": 340, "cache_write_5m_tokens": 900,
            "cache_write_1h_tokens": 0, "cache_write_tokens": 900,
            "cache_read_tokens": 21_000 + 700 * self.position,
        }  # fmt: skip
        self.export.add(
            "fct_api_responses", message_id=message, session_id=self.id,
            project_key=self.project, host=self.host, model=model,
            responded_at=stamp(self.clock), agent_id=self.agent,
            is_sidechain=int(bool(self.agent)), usage_final=1, speed="standard",
            web_search_requests=0, cost_usd=cost, **usage,
            context_tokens=912 + usage["cache_read_tokens"], turn_number=self.turn,
            entry_key=key, total_tokens=sum(usage[name] for name in _COUNTED),
        )  # fmt: skip
        for name, value in usage.items():
            self.count[name] += value
        self.count["api_responses"] += 1
        self.count["final_responses"] += 1
        if cost is None:
            self.count["unpriced_responses"] += 1
        else:
            self.count["cost_usd"] += cost
        return ids

    def _file(self, tool: str, name: str, path: str) -> None:
        self.export.add(
            "fct_file_operations", tool_use_id=tool, session_id=self.id,
            project_key=self.project, host=self.host, agent_id=self.agent,
            tool_name=name, operation=OPERATIONS[name], file_path=path,
            file_name=re.split(r"[/\\]", path)[-1], called_at=stamp(self.clock),
        )  # fmt: skip

    def _file_result(self, tool: str, result: Any, error: bool) -> None:
        for row in self.export.rows["fct_file_operations"]:
            if row["tool_use_id"] == tool:
                is_known = isinstance(result, dict) and not error
                hunks = result.get("structuredPatch") if is_known else None
                lines = [
                    line
                    for hunk in (hunks if isinstance(hunks, list) else [])
                    for line in (hunk["lines"] if isinstance(hunk, dict) else [])
                ]
                row.update(
                    is_error=int(error),
                    lines_added=sum(line.startswith("+") for line in lines),
                    lines_removed=sum(line.startswith("-") for line in lines),
                )

    def result(
        self, tool: str, text: str, result: Any = None, *, error: bool = False
    ) -> str:
        key = self.entry(
            "tool_result",
            [{
                "block_kind": "tool_result", "tool_use_id": tool, "text": text,
                "result_json": json.dumps(result) if result is not None else None,
                "is_error": int(error),
            }],
            after=2,
        )  # fmt: skip
        for call in self.export.rows["fct_tool_calls"]:
            if call["tool_use_id"] == tool:
                call.update(
                    result_entry_key=key, is_error=int(error), duration_ms=2000,
                    error_kind="command_failed" if error else None,
                )  # fmt: skip
        self._file_result(tool, result, error)
        self.count["tool_errors"] += error
        return key

    def record(self, kind: str, found: dict[str, Any], **values: Any) -> str:
        """Append a record without words of a person: a hook, a system line."""
        block = {"block_kind": "other", "result_json": json.dumps(found)}
        return self.entry(kind, [block], **values)

    def subagent(self, tool: str, agent_id: str) -> "Session":
        """Entries that follow belong to the agent that this call started."""
        for call in self.export.rows["fct_tool_calls"]:
            if call["tool_use_id"] == tool:
                call["subagent_id"] = agent_id
        self.agent = agent_id
        self.count["subagents"] += 1
        return self

    def back(self) -> "Session":
        self.agent = None
        return self

    def end(self) -> str:
        """Write the session's dimension and its metrics."""
        if not any(
            r["project_key"] == self.project for r in self.export.rows["dim_projects"]
        ):
            self.export.add(
                "dim_projects", project_key=self.project, project_name=self.project,
                project_path=f"/home/me/{self.project}",
            )  # fmt: skip
        wall = (self.clock - self.start).total_seconds()
        self.dim.setdefault("models", ",".join(self.models))
        self.export.add(
            "dim_sessions", **self.dim, started_at=stamp(self.start),
            ended_at=stamp(self.clock), wall_s=wall, active_s=wall * 0.6,
        )  # fmt: skip
        tokens = (
            "input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens",
        )  # fmt: skip
        names = (
            "prompts", "messages", "tool_calls", "tool_errors", "api_errors",
            "subagents", "compactions", "api_responses", "unpriced_responses",
            "final_responses", *tokens,
        )  # fmt: skip
        self.export.add(
            "agg_session_metrics", session_id=self.id, turns=self.turn,
            total_tokens=int(sum(self.count[name] for name in tokens)),
            cost_usd=self.count["cost_usd"] if self.count["api_responses"] else 0.0,
            **{name: int(self.count[name]) for name in names},
        )  # fmt: skip
        return self.id
