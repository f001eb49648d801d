"""The small text of a document that MongoDB's text index searches."""

from typing import Any

# Each distinct word is a key that MongoDB writes: long texts would cost more than
# all the rest of ingestion. Full texts are searched in the export.
MOST_CHARACTERS = 1000
# Titles, prompts of the history, summaries, queued prompts, system messages.
_FIELDS = (
    "summary", "aiTitle", "customTitle", "lastPrompt", "display", "content",
)  # fmt: skip


def words(entry: dict[str, Any]) -> str:
    """What a person said or read in this entry, its first 1000 characters.

    Prompts, answers, thinking, titles and summaries; no tool input or output,
    which would make the index larger than the conversations.
    """
    parts: list[str] = []
    message = entry.get("message")
    if isinstance(message, dict):
        _add(parts, message.get("content"))
    for name in _FIELDS:
        _add(parts, entry.get(name))
    return "\n".join(parts)[:MOST_CHARACTERS]


def _add(parts: list[str], value: Any) -> None:
    if isinstance(value, str):
        if value:
            parts.append(value[:MOST_CHARACTERS])
    elif isinstance(value, list):
        for block in value:
            if isinstance(block, dict):
                for name in ("text", "thinking"):
                    text = block.get(name)
                    if isinstance(text, str) and text:
                        parts.append(text[:MOST_CHARACTERS])
