"""Read a conversation: its messages with their blocks, secrets masked."""

import json
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from cclake_common.masking import mask, mask_value

from cclake_recall.find import Row, permalink


def messages(
    connection: sqlite3.Connection,
    session: str,
    *,
    agent: str | None = None,
    turn: int | None = None,
    since: int = 0,
) -> Iterator[Row]:
    """Yield the messages of a session in their order.

    Args:
        connection: Of the export.
        session: Its id.
        agent: Yield the messages of this subagent instead.
        turn: Yield only this turn.
        since: Position of the first message.
    """
    agents = dict(
        connection.execute(
            """select tool_use_id, subagent_id from fct_tool_calls
            where session_id = ? and subagent_id is not null""",
            (session,),
        ).fetchall()
    )
    rows = connection.execute(
        f"""select e.position, e.entry_key, e.turn_number, e.message_kind, e.said_at,
            e.model, e.agent_id, e.is_copy, b.block_kind, b.text, b.tool_use_id,
            b.tool_name, b.tool_input, b.is_error, b.image_key
        from thread_entries e
        left join thread_blocks b
            on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
        where e.session_id = :session and e.agent_id is :agent and e.position >= :since
        {"and coalesce(e.turn_number, 0) = :turn" if turn is not None else ""}
        order by e.position, b.block_no""",
        {"session": session, "agent": agent, "since": since, "turn": turn},
    )
    for _, group in groupby(rows, key=lambda row: row["position"]):
        some = list(group)
        first = some[0]
        yield {
            "session": session,
            "message": first["entry_key"],
            "position": first["position"],
            "turn": first["turn_number"] or 0,
            "at": first["said_at"],
            "role": first["message_kind"] or "other",
            "model": mask(first["model"] or ""),
            "agent": first["agent_id"],
            "copied": bool(first["is_copy"]),
            "blocks": [_block(row, agents) for row in some if row["block_kind"]],
            "url": permalink(session, first["entry_key"]),
        }


def _block(row: sqlite3.Row, agents: dict[str, str]) -> Row:
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
