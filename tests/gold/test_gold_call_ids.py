"""Gateways that count tool calls from 0 in each conversation: none falls together."""

from pathlib import Path

from gateway import FIRST, FORK, SECOND
from gold import one, query

OURS = f"session_id in ('{FIRST}', '{SECOND}', '{FORK}')"


def test_each_conversation_has_its_own_calls(histories: Path) -> None:
    calls = query(
        histories,
        "select tool_use_id, session_id, agent_id, is_error, file_path, duration_ms"
        f" from marts.fct_tool_calls where {OURS}"
        " order by session_id, agent_id nulls first, 1",
    )
    assert calls == [
        (f"functions.Edit:{n}@{session}{'/' + agent if agent else ''}", session,
         agent, bool(n), f"/p/{session[-1]}{agent or ''}.py", 1000)
        for session, agent in (
            (FIRST, None), (FIRST, "a1"), (SECOND, None), (FORK, None)
        )
        for n in (0, 1)
    ]  # fmt: skip
    blocks = one(
        histories,
        "select count(*), count(distinct tool_use_id), count(calls.tool_use_id)"
        " from marts.thread_blocks as blocks"
        " left join marts.fct_tool_calls as calls using (tool_use_id)"
        f" where blocks.{OURS}",
    )
    assert blocks == (16, 8, 16)
