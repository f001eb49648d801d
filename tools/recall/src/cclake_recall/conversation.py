"""Read a conversation: its messages with their blocks, secrets masked."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

from cclake_common.masking import mask, mask_value

from cclake_recall.find import Row, permalink

_THREAD = "from thread_entries where session_id = ? and agent_id is ?"


def agents(connection: sqlite3.Connection, session: str) -> dict[str, str]:
    """Return the subagents that the calls of a session started, by call."""
    rows = connection.execute(
        """select tool_use_id, subagent_id from fct_tool_calls
        where session_id = ? and subagent_id is not null""",
        (session,),
    )
    return dict(rows.fetchall())


def position(
    connection: sqlite3.Connection,
    session: str,
    agent: str | None,
    *,
    turn: int = 0,
    message: str = "",
) -> int | None:
    """Return the position of a message, or of the first message from a turn on."""
    condition, value = "coalesce(turn_number, 0) >= ?", turn or 0
    if message:
        condition, value = "entry_key = ?", message  # type: ignore[assignment]
    found = connection.execute(
        f"select min(position) {_THREAD} and {condition}", (session, agent, value)
    )
    at: int | None = found.fetchone()[0]
    return at


def last_turn(connection: sqlite3.Connection, session: str, agent: str | None) -> int:
    """Return the number of the last turn of a thread, or 0."""
    found = connection.execute(f"select max(turn_number) {_THREAD}", (session, agent))
    return found.fetchone()[0] or 0


def last_position(connection: sqlite3.Connection, session: str) -> int:
    """Return the position of the last message of a session, or 0."""
    sql = "select max(position) from thread_entries where session_id = ?"
    return connection.execute(sql, (session,)).fetchone()[0] or 0


def keys(
    connection: sqlite3.Connection, session: str, agent: str | None
) -> list[tuple[str, str]]:
    """Return key and kind of each message of a thread, in their order."""
    rows = connection.execute(
        f"select entry_key, message_kind {_THREAD} order by position", (session, agent)
    )
    return [(row[0], row[1] or "") for row in rows]


def messages(
    connection: sqlite3.Connection,
    session: str,
    agents: Mapping[str, str],
    *,
    agent: str | None = None,
    turn: int | None = None,
    since: int = 0,
    shift: int = 0,
    everything: bool = False,
    wanted: Collection[str] | None = None,
    results: bool = False,
) -> Iterator[Row]:
    """Yield the messages of a session in their order.

    Args:
        connection: Of the export, or of the lines above it.
        session: Its id.
        agents: The subagents that its calls started, by call.
        agent: Yield the messages of this subagent instead.
        turn: Yield only this turn.
        since: Position of the first message.
        shift: Number to add to each position.
        everything: Whether to include all subagents.
        wanted: Yield only the messages with these keys; None for all.
        results: Whether blocks include what Claude Code recorded beside a result.
    """
    rows = connection.execute(
        f"""select e.position, e.entry_key, e.turn_number, e.message_kind, e.said_at,
            e.model, e.agent_id, e.is_copy, e.message_id, e.doc_id, b.block_kind,
            b.text, b.tool_use_id, b.tool_name, b.tool_input, b.result_json, b.is_error,
            b.image_key
        from thread_entries e
        left join thread_blocks b
            on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
        where e.session_id = :session and e.position >= :since
        {"" if everything else "and e.agent_id is :agent"}
        {"and coalesce(e.turn_number, 0) = :turn" if turn is not None else ""}
        order by e.position, b.block_no""",
        {"session": session, "agent": agent, "since": since, "turn": turn},
    )
    for _, group in groupby(rows, key=lambda row: row["position"]):
        some = list(group)
        first = some[0]
        if wanted is not None and first["entry_key"] not in wanted:
            continue
        yield {
            "session": session,
            "message": first["entry_key"],
            "position": first["position"] + shift,
            "turn": first["turn_number"] or 0,
            "at": first["said_at"],
            "role": first["message_kind"] or "other",
            "model": mask(first["model"] or ""),
            "agent": first["agent_id"],
            "copied": bool(first["is_copy"]),
            "response": first["message_id"],
            "line": first["doc_id"],
            "blocks": [
                _block(row, agents, results) for row in some if row["block_kind"]
            ],
            "url": permalink(session, first["entry_key"]),
        }


def _block(row: sqlite3.Row, agents: Mapping[str, str], results: bool) -> Row:
    block: Row = {"kind": row["block_kind"]}
    if row["text"]:
        block["text"] = mask(row["text"])
    if row["tool_name"]:
        block["tool"] = mask(row["tool_name"])
    if row["tool_use_id"]:
        block["call"] = row["tool_use_id"]
    if row["tool_input"]:
        block["input"] = _parsed(row["tool_input"])
    if row["block_kind"] == "tool_result":
        block["failed"] = bool(row["is_error"])
    if results and row["result_json"]:
        block["result"] = _parsed(row["result_json"])
    if row["image_key"]:
        block["image"] = row["image_key"]
    if row["block_kind"] == "tool_use" and row["tool_use_id"] in agents:
        block["agent"] = agents[row["tool_use_id"]]
    return block


def _parsed(text: str) -> Any:
    try:
        return mask_value(json.loads(text))
    except (ValueError, RecursionError):
        return mask(text)
