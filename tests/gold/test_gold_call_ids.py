"""Gateways that count tool calls from 0 in each conversation: none falls together."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bronze import Bronze, Row
from gold import Workshop, compare, one, query

FIRST, SECOND, FORK = (f"aaaaaaaa-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))


def conversation(
    session: str, number: int, agent: str = ""
) -> Iterator[dict[str, Any]]:
    """Two calls of Edit; the second one fails."""
    base: dict[str, Any] = {"sessionId": session, "cwd": "/p", "version": "2.1.97"}
    if agent:
        base |= {"agentId": agent, "isSidechain": True}
    parent = None
    for step in range(4):
        uuid = f"{number:08d}-1111-4111-8111-{step:012d}"
        call = f"functions.Edit:{step // 2}"
        if step % 2:
            block: dict[str, Any] = {
                "type": "tool_result",
                "tool_use_id": call,
                "content": "done",
            }
            block |= {"is_error": True} if step == 3 else {}
        else:
            block = {"type": "tool_use", "id": call, "name": "Edit"}
            block |= {"input": {"file_path": f"/p/{session[-1]}{agent}.py"}}
        role = "user" if step % 2 else "assistant"
        yield base | {
            "type": role,
            "uuid": uuid,
            "parentUuid": parent,
            "timestamp": f"2026-01-0{number}T00:00:0{step}.000Z",
            "message": {"role": role, "content": [block]},
        }
        parent = uuid


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, bronze: Bronze) -> list[Row]:
    root = tmp_path_factory.mktemp("gateway") / "projects"
    fork = [line | {"sessionId": FORK} for line in conversation(FIRST, 1)]
    fork += conversation(FORK, 4)  # and its own, with the numbers begun again
    for name, lines in {
        f"-p/{FIRST}.jsonl": list(conversation(FIRST, 1)),
        f"-p/{FIRST}/subagents/agent-a1.jsonl": list(conversation(FIRST, 2, "a1")),
        f"-p/{SECOND}.jsonl": list(conversation(SECOND, 3)),
        f"-p/{FORK}.jsonl": fork,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return bronze.rows(root)


def test_each_conversation_has_its_own_calls(
    workshop: Workshop, rows: list[Row]
) -> None:
    gold = compare(workshop, rows, runs=2, seed=3)
    calls = query(
        gold,
        "select tool_use_id, session_id, agent_id, is_error, file_path, duration_ms"
        " from marts.fct_tool_calls order by session_id, agent_id nulls first, 1",
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
        gold,
        "select count(*), count(distinct tool_use_id), count(calls.tool_use_id)"
        " from marts.thread_blocks as blocks"
        " left join marts.fct_tool_calls as calls using (tool_use_id)",
    )
    assert blocks == (16, 8, 16)
