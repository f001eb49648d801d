"""Read entries with their content blocks, and calls with their results."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from cclake_archive.live.blocks import Block
from cclake_common.kept import Kept
from cclake_common.masking import mask, mask_value
from cclake_common.sqlite import rows_with_keys

from cclake_web.deadline import check

Key = tuple[str, str]  # of an entry: its session and its key


@dataclass
class Entry:
    """A canonical entry at its position in a thread."""

    key: str
    kind: str
    turn: int
    position: int = 0
    said_at: str = ""
    agent_id: str = ""
    message_id: str = ""
    model: str = ""
    doc_id: str = ""
    part: int = 0
    is_copy: bool = False
    subtype: str = ""
    type: str = ""
    owner: str = ""  # the session that has its blocks
    blocks: list[Block] = field(default_factory=list)
    kept: Kept | None = None  # star, labels and note of the user


@dataclass
class Run:
    """A workflow run that a call started.

    Texts are masked unless secrets were asked for.

    Attributes:
        agents: The ids of its subagents, in the order in which they began.
        reported: Number of its subagents, as the log reports it.
    """

    run_id: str
    call: str
    name: str = ""
    status: str = ""
    reported: int = 0
    tokens: int | None = None
    phases: Any = None
    result: str = ""
    agents: list[str] = field(default_factory=list)


@dataclass
class Call:
    """A tool call with its result, which may be anywhere in the session.

    Attributes:
        about: The subject of the task that it names by a number.
        is_nested: Whether the thread of its subagent is shown in it.
        run: The workflow run that it started, if the log has it.
    """

    block: Block
    entry: Entry
    result: Block | None = None
    images: list[Block] = field(default_factory=list)
    duration_ms: float | None = None
    is_error: bool = False
    subagent_id: str = ""
    result_key: str = ""
    result_doc: str = ""
    about: str = ""
    is_nested: bool = False
    run: Run | None = None


def parse(text: str | None, reveal: bool) -> Any:
    """Return the value of JSON text with its secrets masked, or None if invalid."""
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if reveal else mask_value(value)


def block_of(row: sqlite3.Row, reveal: bool) -> Block:
    """Return a row of `thread_blocks` as a block."""
    check()
    text = row["text"] or ""
    return Block(
        kind=row["block_kind"] or "other",
        text=text if reveal else mask(text),
        tool_use_id=row["tool_use_id"] or "",
        tool_name=_named(row["tool_name"], reveal),
        input=parse(row["tool_input"], reveal),
        result=parse(row["result_json"], reveal),
        is_error=bool(row["is_error"]),
        image_key=row["image_key"] or "",
    )


@lru_cache(maxsize=1024)
def _named(name: str | None, reveal: bool) -> str:
    return (name or "") if reveal else mask(name or "")


def entry_of(row: sqlite3.Row) -> Entry:
    """Return a row of `thread_entries` as an entry, without blocks."""
    return Entry(
        key=row["entry_key"], kind=row["message_kind"] or "other",
        turn=row["turn_number"] or 0, position=row["position"],
        said_at=row["said_at"] or "", agent_id=row["agent_id"] or "",
        message_id=row["message_id"] or "", model=row["model"] or "",
        doc_id=row["doc_id"] or "", part=row["part"] or 0, is_copy=bool(row["is_copy"]),
        subtype=row["subtype"] or "", type=row["record_type"] or "",
        owner=row["owner_session_id"],
    )  # fmt: skip


def fill(
    connection: sqlite3.Connection, entries: Sequence[Entry], reveal: bool = False
) -> None:
    """Read the blocks of entries."""
    by_key: dict[Key, list[Entry]] = {}
    for entry in entries:
        by_key.setdefault((entry.owner, entry.key), []).append(entry)
    blocks = "select * from thread_blocks where {} order by block_no"
    for row in _of_entries(connection, blocks, by_key):
        block = block_of(row, reveal)
        for entry in by_key[row["session_id"], row["entry_key"]]:
            entry.blocks.append(block)


def calls_of(
    connection: sqlite3.Connection, entries: Sequence[Entry], reveal: bool = False
) -> dict[str, Call]:
    """Return the calls of entries by id, with results from anywhere in the session."""
    calls = {
        block.tool_use_id: Call(block, entry)
        for entry in entries
        for block in entry.blocks
        if block.kind == "tool_use" and block.tool_use_id
    }
    facts = "select * from fct_tool_calls where tool_use_id in ({})"
    for row in rows_with_keys(connection, facts, calls):
        call = calls[row["tool_use_id"]]
        call.duration_ms = row["duration_ms"]
        call.subagent_id = row["subagent_id"] or ""
        call.is_error = bool(row["is_error"])
        call.result_key = row["result_entry_key"] or ""
    results: dict[Key, Call] = {}
    blocks = "select * from thread_blocks where tool_use_id in ({})"
    for row in rows_with_keys(connection, blocks, calls):
        call = calls[row["tool_use_id"]]
        if row["entry_key"] == call.result_key:
            results[row["session_id"], call.result_key] = call
        if row["block_kind"] == "tool_result" and call.result is None:
            call.result = block_of(row, reveal)
            call.is_error = call.is_error or call.result.is_error
        elif row["block_kind"] == "image":
            call.images.append(block_of(row, reveal))
    _attach_loose(connection, results, reveal)
    return calls


def _attach_loose(
    connection: sqlite3.Connection,
    results: dict[Key, Call],
    reveal: bool,
) -> None:
    """Attach images that do not name their call, and the document of the result."""
    images = "select * from thread_blocks where {} and image_key is not null"
    for row in _of_entries(connection, images, results):
        if not row["tool_use_id"]:
            call = results[row["session_id"], row["entry_key"]]
            call.images.append(block_of(row, reveal))
    messages = "select session_id, entry_key, doc_id from fct_messages where {}"
    for row in _of_entries(connection, messages, results):
        call = results[row["session_id"], row["entry_key"]]
        call.result_doc = row["doc_id"] or ""


def _of_entries(
    connection: sqlite3.Connection, sql: str, entries: Iterable[Key]
) -> Iterable[sqlite3.Row]:
    """Return rows of entries; with the session, since its rows are stored together."""
    by_owner: dict[str, list[str]] = {}
    for owner, key in entries:
        by_owner.setdefault(owner, []).append(key)
    for owner, keys in by_owner.items():
        where = "session_id = ? and entry_key in ({})"
        yield from rows_with_keys(connection, sql.format(where), keys, owner)
