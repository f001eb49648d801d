"""Logs of a gateway that counts tool calls from 0 in each conversation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def write(root: Path) -> Path:
    """Write three sessions: one has a subagent, and one is a fork; return their root."""
    fork = [line | {"sessionId": FORK} for line in conversation(FIRST, 1)]
    fork += conversation(FORK, 4)  # and its own, with the numbers begun again
    for name, lines in {
        f"-p/{FIRST}.jsonl": list(conversation(FIRST, 1)),
        f"-p/{FIRST}/subagents/agent-a1.jsonl": list(conversation(FIRST, 2, "a1")),
        f"-p/{SECOND}.jsonl": list(conversation(SECOND, 3)),
        f"-p/{FORK}.jsonl": fork,
    }.items():
        path = root / "projects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root / "projects"
