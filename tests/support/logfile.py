"""Writing one log file of Claude Code, record by record."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Log:
    """One log file that is being written; times go on by themselves."""

    def __init__(self, session: str, day: int = 1, **always: Any) -> None:
        self.session = session
        self.always = always
        self.name = f"{session[:8]}-{always.get('agentId', 'main')}"
        self.second = day * 86_400
        self.lines: list[bytes] = []
        self.last: str | None = None
        self.entries: list[Json] = []

    def add(self, kind: str, uuid: str | None = None, **fields: Any) -> Json:
        """Write an entry of the message graph."""
        self.second += 5
        entry: Json = {
            "parentUuid": self.last, "isSidechain": False, "userType": "external",
            "cwd": "/home/me/app", "sessionId": self.session, "version": "2.1.40",
            "gitBranch": "main", "type": kind,
            "uuid": uuid or f"{self.name}-{len(self.lines)}",
            "timestamp": stamp(self.second),
        } | self.always | fields  # fmt: skip
        self.last = entry["uuid"]
        return self.put(entry)

    def put(self, entry: Json) -> Json:
        """Write an entry as it is."""
        self.entries.append(entry)
        self.lines.append(json.dumps(entry, separators=(",", ":")).encode())
        return entry

    def user(self, content: Any, **fields: Any) -> Json:
        """Write a user record."""
        return self.add("user", message={"role": "user", "content": content}, **fields)

    def answer(self, name: str, *blocks: Json, out: int = 9, **fields: Any) -> None:
        """Write a response, one record for each block; the last has the tokens."""
        model = fields.pop("model", "claude-opus-4-6")
        for number, block in enumerate(blocks):
            usage = {
                "input_tokens": 11,
                "output_tokens": out if number == len(blocks) - 1 else 1,
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 400,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 10,
                    "ephemeral_1h_input_tokens": 20,
                },
            }
            message = {"id": name, "type": "message", "role": "assistant",
                       "model": model, "content": [block], "stop_reason": None,
                       "usage": usage}  # fmt: skip
            self.add("assistant", requestId=f"req_{name}", message=message, **fields)

    def result(self, tool: str, text: Any, error: bool = False, **fields: Any) -> None:
        """Write the result of a tool call."""
        block = {"type": "tool_result", "tool_use_id": tool, "content": text}
        self.user([block | {"is_error": error}], **fields)

    def save(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(line + b"\n" for line in self.lines))


def stamp(second: int) -> str:
    """A time of August 2026 as the logs write it."""
    day, rest = divmod(second, 86_400)
    hour, rest = divmod(rest, 3_600)
    return f"2026-08-{day:02}T{hour:02}:{rest // 60:02}:{rest % 60:02}.000Z"
