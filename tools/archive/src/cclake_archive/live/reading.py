"""Parse unpublished lines for display.

Numbers come with the next pipeline run. Entries have the same keys as in gold, so that
links stay valid and no entry is shown twice.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from cclake_common.folders import normal_path
from cclake_common.model_names import gold_name

from cclake_archive.client import Document
from cclake_archive.json_text import dumps, loads
from cclake_archive.live.blocks import Block
from cclake_archive.live.images import images_in, key_of, lighten

# Tags that Claude Code and IDEs add to the text of the user.
_TAGS = ("ide_opened_file", "ide_selection", "ide_diagnostics", "system-reminder")
_CONTEXT = re.compile(
    "(" + "|".join(rf"<{tag}(?:\s[^>]*)?>.*?</{tag}>" for tag in _TAGS) + ")", re.DOTALL
)
# The wrappers of what nobody typed, as in the dbt macro `message_kind`.
_COMMAND = re.compile(
    r"<(?:command-(?:name|message|args)|local-command-std(?:out|err)"
    r"|bash-(?:input|stdout|stderr)|user-memory-input)>"
)
_NOTICE = re.compile(
    r"<(?:(?:task|agent|bash)-notification>|teammate-message|ci-monitor-event)"
)
_META = re.compile(
    r"<(?:local-command-caveat|user-prompt-submit-hook)>|Caveat: The messages below"
)
_AGENT_FILE = re.compile(r"(?:^|/)agent-([^/]+)\.jsonl$")
_SPACE = re.compile(r"\s+")
MOST_TITLE, MOST_PROMPT = 200, 2000  # maximum characters, as in gold


@dataclass(slots=True)
class Line:
    """The parts of a line that pages show.

    Attributes:
        buffer: The buffer that archived it.
        seq: Its number in that buffer.
        doc_id: Its document, hex.
        size: Its bytes in the file.
        session_id: Its session.
        host: The machine.
        folder: The project folder of its file.
        said_at: Its time, as the export writes times.
        key: The entry's key, as in gold.
        kind: The kind of message; "" if it is not shown.
        agent_id: The subagent whose thread it is in, "" in the main thread.
        title: The title of the session, if the line sets one.
        origin: The session that it was forked from, if known.
        agent: The subagent in its tool result.
    """

    buffer: str
    seq: int
    doc_id: str
    size: int
    session_id: str
    host: str
    folder: str
    said_at: str
    key: str
    kind: str = ""
    type: str = ""
    uuid: str = ""
    agent_id: str = ""
    message_id: str = ""
    model: str = ""
    cwd: str = ""
    branch: str = ""
    version: str = ""
    title: str = ""
    origin: str = ""
    agent: str = ""
    blocks: list[Block] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The text of the entry, without added context."""
        return "\n".join(one.text for one in self.blocks if one.kind == "text")


def line_of(document: Document) -> Line | None:
    """Read a document, or return None if it has no session."""
    session_id = document.get("sessionId")
    path = _string(document.get("sourceFile"))
    if not isinstance(session_id, str) or not session_id or path.startswith("../"):
        return None
    entry = document.get("entry")
    if not isinstance(entry, dict):
        entry = loads(bytes(document.get("raw") or b""))
    if not isinstance(entry, dict):
        return None
    line = Line(
        buffer=str(document["buffer"]), seq=int(document["seq"]),
        doc_id=bytes(document["_id"]).hex(), size=int(document["source"]["len"]),
        session_id=session_id, host=_string(document.get("host")),
        folder=_string(document.get("projectId")),
        said_at=stamp(document.get("timestamp")),
        key=key_in_gold(entry, session_id), type=_string(entry.get("type")),
        uuid=_string(entry.get("uuid")), cwd=_string(entry.get("cwd")),
        branch=_string(entry.get("gitBranch")), version=_string(entry.get("version")),
        title=title_in(entry), origin=_forked(entry, "sessionId"),
    )  # fmt: skip
    named = _AGENT_FILE.search(path)
    aside = entry.get("isSidechain") is True
    line.agent_id = named[1] if named else _string(entry.get("agentId")) * aside
    if not aside or line.agent_id:
        _read(line, entry)
    return line


def stamp(moment: Any) -> str:
    """Return a time as the export writes it, or "" for another value."""
    if not isinstance(moment, datetime):
        return ""
    there = moment.astimezone(UTC) if moment.tzinfo else moment
    return there.strftime("%Y-%m-%dT%H:%M:%S.") + f"{there.microsecond // 1000:03}Z"


def key_in_gold(entry: dict[str, Any], session_id: str) -> str:
    """Return the key of an entry in gold."""
    uuid = _forked(entry, "messageUuid") or _string(entry.get("uuid"))
    named = f"u:{uuid}" if uuid else f"x:{session_id}:{_md5(dumps(entry))}"
    return _key(named)


def _forked(entry: dict[str, Any], name: str) -> str:
    return _string(_dict(entry.get("forkedFrom")).get(name))


def title_in(entry: dict[str, Any]) -> str:
    """Return the title that an entry sets for its session, or ""."""
    given = entry.get("customTitle") or entry.get("aiTitle")
    return _SPACE.sub(" ", _string(given)).strip()[:MOST_TITLE]


def project_path(cwd: str, folder: str) -> str:
    """Return the project of a working folder, like the dbt macro `project_path`."""
    path = normal_path(cwd)
    path = re.sub(r"/\.claude/worktrees/[^/]+", "", path)
    return re.sub(r"(?<=.)/+$", "", path) or folder or "unknown"


def project_key(path: str) -> str:
    """Return the key in gold of the project at a path."""
    return _key(path)


def call_id(given: str, line: Line) -> str:
    """Return the id of a call, unique across sessions, like the dbt macro."""
    counted = "toolu_" not in given and (
        len(given) < 16 or "@" in given or re.search(r":[0-9]+$", given) is not None
    )
    if not given or not counted:
        return given
    agent = f"/{line.agent_id}" if line.agent_id else ""
    return f"{given}@{line.session_id}{agent}"


def _read(line: Line, entry: dict[str, Any]) -> None:
    """Add the visible parts of an entry to its line."""
    message = entry.get("message")
    if line.type not in ("user", "assistant") or not isinstance(message, dict):
        return
    if entry.get("isMeta"):
        return
    lighten(entry)
    parts = _parts(message)
    if line.type == "user":
        parts = [piece for part in parts for piece in _apart(part)]
    blocks = [block for part in parts if (block := _block(part, entry))]
    blocks += [
        Block("image", image_key=key_of(line.doc_id, number), tool_use_id=call)
        for number, (_, call) in enumerate(images_in(message))
    ]
    if not blocks:
        return
    for block in blocks:
        block.tool_use_id = call_id(block.tool_use_id, line)
    line.blocks = blocks
    line.kind = _kind(entry, message, blocks)
    if line.agent_id and line.kind == "prompt":
        line.kind = "agent_prompt"
    line.message_id = _string(message.get("id"))
    line.model = gold_name(_string(message.get("model")))
    line.agent = _string(_dict(entry.get("toolUseResult")).get("agentId"))


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    listed = content if isinstance(content, list) else []
    return [part for part in listed if isinstance(part, dict)]


def _apart(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Split a text of the user from the context that was added to it."""
    text = part.get("text")
    if part.get("type") != "text" or not isinstance(text, str) or "<" not in text:
        return [part]
    return [
        {"type": "context" if number % 2 else "text", "text": piece}
        for number, piece in enumerate(_CONTEXT.split(text))
        if piece.strip()
    ]


def _block(part: dict[str, Any], entry: dict[str, Any]) -> Block | None:
    kind = part.get("type")
    if kind in ("text", "thinking"):
        return Block(str(kind), text=_text(part.get(str(kind))))
    if kind == "context":
        return Block("context", text=part["text"])
    if kind == "tool_use":
        return Block(
            "tool_use", tool_use_id=_string(part.get("id")),
            tool_name=_text(part.get("name")), input=part.get("input"),
        )  # fmt: skip
    if kind == "tool_result":
        return Block(
            "tool_result", text=_text(part.get("content")),
            tool_use_id=_string(part.get("tool_use_id")),
            result=entry.get("toolUseResult"), is_error=part.get("is_error") is True,
        )  # fmt: skip
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = (item.get("text") for item in value if isinstance(item, dict))
        return "\n".join(text for text in texts if isinstance(text, str))
    return "" if value is None else dumps(value)


def _kind(entry: dict[str, Any], message: dict[str, Any], blocks: list[Block]) -> str:
    if entry["type"] == "assistant":
        if message.get("model") == "<synthetic>":
            if blocks[0].text.startswith("No response requested"):
                return "meta"
            is_stopped = blocks[0].text.startswith("[Request interrupted")
            return "interrupt" if is_stopped else "api_error"
        if entry.get("isApiErrorMessage"):
            return "api_error"
        kinds = {block.kind for block in blocks}
        return "thinking" if kinds == {"thinking"} else "answer"
    if any(block.kind == "tool_result" for block in blocks):
        return "tool_result"
    said = [block for block in blocks if block.kind != "context"]
    if not said:
        return "meta"
    if entry.get("isCompactSummary"):
        return "compact_summary"
    text = said[0].text.lstrip()
    if text.startswith("[Request interrupted"):
        return "interrupt"
    if _COMMAND.match(text):
        return "command"
    origin = _string(_dict(entry.get("origin")).get("kind"))
    if _NOTICE.match(text) or "notification" in origin:
        return "notification"
    if entry.get("promptSource") == "system" or _META.match(text):
        return "meta"
    return "prompt"


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _key(name: str) -> str:
    """Return a key, like the dbt macro `key_of`."""
    return _md5(name)[:16]


def _md5(text: str) -> str:
    return md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
