"""Write sessions and messages as records for JSON, JSON Lines and CSV."""

import csv
import io
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from cclake_archive.json_text import dumps
from cclake_archive.live.blocks import Block
from cclake_common.kept import Kept

from cclake_web.data.blocks import Entry, entry_of, fill
from cclake_web.masking import mask_names
from cclake_web.render.safe import visible

BATCH = 400  # entries read at a time
Record = dict[str, Any]
SESSION_COLUMNS = (
    "session_id", "title", "project_key", "project_path", "host", "git_branch",
    "started_at", "ended_at", "wall_s", "active_s", "models", "claude_version",
    "parent_session_id", "relation", "turns", "messages", "tool_calls", "tool_errors",
    "api_errors", "subagents", "compactions", "input_tokens", "output_tokens",
    "cache_write_tokens", "cache_read_tokens", "total_tokens", "cost_usd",
    "unpriced_responses", "starred", "labels", "note",
)  # fmt: skip
MESSAGE_COLUMNS = (
    "session_id", "position", "turn", "kind", "said_at", "agent_id", "model",
    "message_id", "is_copy", "tools", "text", "starred", "labels", "note",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "␍")


def entries_after(
    connection: sqlite3.Connection, session_id: str, position: int, reveal: bool
) -> list[Entry]:
    """Return the next batch of a session's entries, subagents included, with blocks."""
    rows = connection.execute(
        """select e.*, m.subtype, m.type as record_type from thread_entries e
        left join fct_messages m
            on m.session_id = e.owner_session_id and m.entry_key = e.entry_key
        where e.session_id = ? and e.position > ? order by e.position limit ?""",
        (session_id, position, BATCH),
    )
    found = [entry_of(row) for row in rows]
    fill(connection, found, reveal)
    return found


def message_record(session_id: str, entry: Entry) -> Record:
    """Return an entry as a record."""
    return {
        "session_id": session_id, "position": entry.position, "entry_key": entry.key,
        "turn": entry.turn, "kind": entry.kind, "said_at": entry.said_at or None,
        "agent_id": entry.agent_id or None, "model": entry.model or None,
        "message_id": entry.message_id or None, "is_copy": entry.is_copy,
        "doc_id": entry.doc_id or None,
        "blocks": [_block_record(block) for block in entry.blocks],
    } | kept_record(entry.kept)  # fmt: skip


def kept_record(kept: Kept | None) -> Record:
    """Return star, labels and note as fields of a record; {} where nothing is kept."""
    if kept is None:
        return {}
    return {"starred": kept.starred, "labels": list(kept.labels), "note": kept.note}


def _block_record(block: Block) -> Record:
    record: Record = {
        "kind": block.kind, "text": block.text or None,
        "tool_use_id": block.tool_use_id or None, "tool_name": block.tool_name or None,
        "input": block.input, "result": block.result,
        "is_error": block.is_error or None, "image_key": block.image_key or None,
    }  # fmt: skip
    return {name: value for name, value in record.items() if value is not None}


def flat(record: Record) -> Record:
    """Return a message's record with its blocks as one text, for CSV."""
    blocks = record["blocks"]
    texts = [
        block.get("text") or _json(block.get("input"))
        for block in blocks
        if block["kind"] != "context"
    ]
    tools = [block["tool_name"] for block in blocks if block.get("tool_name")]
    joined = "\n\n".join(text for text in texts if text)
    return record | {"text": joined, "tools": ", ".join(tools)}


def session_record(row: Record, reveal: bool) -> Record:
    """Return a session's row as a record."""
    record = {name: row.get(name) for name in SESSION_COLUMNS}
    record["title"] = row.get("title") or row.get("first_prompt") or ""
    return record if reveal else mask_names(record, "session_id", "parent_session_id")


def csv_text(rows: Iterable[Record], columns: Sequence[str], head: bool) -> str:
    """Return rows as CSV, each cell safe for a spreadsheet and a terminal."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if head:
        writer.writerow(columns)
    for row in rows:
        writer.writerow([csv_cell(row.get(name)) for name in columns])
    return out.getvalue()


def csv_cell(value: Any) -> Any:
    """Return a text that no spreadsheet reads as a formula.

    Control and direction characters are made visible, as on pages.
    """
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, str):
        value = visible(value)
        return "'" + value if value.lstrip(" ").startswith(_FORMULA) else value
    return value


def _json(value: Any) -> str:
    return line(value) if value is not None else ""


def line(value: Any) -> str:
    """Return a value as one line of JSON."""
    return dumps(value)
