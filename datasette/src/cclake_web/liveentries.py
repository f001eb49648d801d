"""Lines fresh from MongoDB as entries, before the pipeline has seen them.

A light reading of the log format, for the eye only: the numbers come with the
next pipeline run.
"""

import re
from collections.abc import Iterable
from typing import Any

from cclake_archive.client import Document
from cclake_common.masking import mask_value

from cclake_web.data.blocks import Block, Call, Entry
from cclake_web.jsontext import dumps
from cclake_web.liveimages import images_in, key_of

# What Claude Code and an IDE put beside the words of the user.
_TAGS = ("ide_opened_file", "ide_selection", "ide_diagnostics", "system-reminder")
_CONTEXT = re.compile(
    "(" + "|".join(rf"<{tag}(?:\s[^>]*)?>.*?</{tag}>" for tag in _TAGS) + ")", re.DOTALL
)
_COMMANDS = ("<command-", "<local-command-", "<bash-")


def entries_of(documents: Iterable[Document], reveal: bool = False) -> list[Entry]:
    """What a reader sees of these lines, in order."""
    found = (entry_of(document, reveal) for document in documents)
    return [entry for entry in found if entry]


def entry_of(document: Document, reveal: bool = False) -> Entry | None:
    """One line as an entry; None for lines that show nothing."""
    line = document.get("entry")
    if not isinstance(line, dict) or line.get("type") not in ("user", "assistant"):
        return None
    message = line.get("message")
    if not isinstance(message, dict) or line.get("isMeta") or line.get("isSidechain"):
        return None
    if not reveal:
        message = mask_value(message)
    doc_id = bytes(document["_id"]).hex()
    parts = _parts(message)
    if line["type"] == "user":
        parts = [piece for part in parts for piece in _apart(part)]
    blocks = [block for part in parts if (block := _block(part, line))]
    blocks += [
        Block("image", image_key=key_of(doc_id, number), tool_use_id=call)
        for number, (_, call) in enumerate(images_in(message))
    ]
    if not blocks:
        return None
    said_at = line.get("timestamp")
    return Entry(
        key=doc_id,
        kind=_kind(line, message, blocks),
        turn=0,
        said_at=said_at if isinstance(said_at, str) else "",
        message_id=str(message.get("id") or ""),
        doc_id=doc_id,
        blocks=blocks,
    )


def calls_among(entries: Iterable[Entry]) -> dict[str, Call]:
    """The calls that these entries make, with the results among them."""
    calls: dict[str, Call] = {}
    for entry in entries:
        for block in entry.blocks:
            if block.kind == "tool_use":
                calls[block.tool_use_id] = Call(block, entry)
            elif block.kind == "tool_result" and block.tool_use_id in calls:
                call = calls[block.tool_use_id]
                call.result, call.is_error = block, block.is_error
            elif block.kind == "image" and block.tool_use_id in calls:
                calls[block.tool_use_id].images.append(block)
    return calls


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    listed = content if isinstance(content, list) else []
    return [part for part in listed if isinstance(part, dict)]


def _apart(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a text of the user, split from the context that was added to it."""
    text = part.get("text")
    if part.get("type") != "text" or not isinstance(text, str) or "<" not in text:
        return [part]
    return [
        {"type": "context" if number % 2 else "text", "text": piece}
        for number, piece in enumerate(_CONTEXT.split(text))
        if piece.strip()
    ]


def _block(part: dict[str, Any], line: dict[str, Any]) -> Block | None:
    kind = part.get("type")
    if kind in ("text", "thinking"):
        return Block(str(kind), text=_text(part.get(str(kind))))
    if kind == "context":
        return Block("context", text=part["text"])
    if kind == "tool_use":
        return Block(
            "tool_use", tool_use_id=str(part.get("id") or ""),
            tool_name=_text(part.get("name")), input=part.get("input"),
        )  # fmt: skip
    if kind == "tool_result":
        result = line.get("toolUseResult")
        return Block(
            "tool_result", text=_text(part.get("content")),
            tool_use_id=str(part.get("tool_use_id") or ""),
            result=mask_value(result), is_error=part.get("is_error") is True,
        )  # fmt: skip
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = (item.get("text") for item in value if isinstance(item, dict))
        return "\n".join(text for text in texts if isinstance(text, str))
    return "" if value is None else dumps(value)


def _kind(line: dict[str, Any], message: dict[str, Any], blocks: list[Block]) -> str:
    if line["type"] == "assistant":
        failed = message.get("model") == "<synthetic>"
        return "api_error" if failed and line.get("isApiErrorMessage") else "answer"
    if any(block.kind == "tool_result" for block in blocks):
        return "tool_result"
    said = [block for block in blocks if block.kind != "context"]
    if not said:
        return "meta"
    text = said[0].text.lstrip()
    if text.startswith(_COMMANDS):
        return "command"
    if text.startswith("[Request interrupted"):
        return "interrupt"
    if line.get("isCompactSummary"):
        return "compact_summary"
    origin = line.get("origin")
    machine = isinstance(origin, dict) and origin.get("kind") not in (None, "human")
    return "notification" if machine or text.startswith("<task-") else "prompt"
