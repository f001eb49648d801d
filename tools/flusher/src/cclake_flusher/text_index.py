"""Choose the text of a document for MongoDB's text index."""

from typing import Any

# MongoDB writes one key per distinct word: long texts would cost more than the rest of
# ingestion. The pages search full texts in the export.
MAX_CHARACTERS = 1000
# Titles, prompts of the history, summaries, queued prompts, system messages.
_FIELDS = (
    "summary", "aiTitle", "customTitle", "lastPrompt", "display", "content",
)  # fmt: skip


def search_text(entry: dict[str, Any]) -> str:
    """Return the first 1000 characters that a person wrote or read in an entry.

    These are prompts, answers, thinking, titles and summaries. Tool input and output
    would make the index larger than the conversations.
    """
    parts: list[str] = []
    message = entry.get("message")
    if isinstance(message, dict):
        _add(parts, message.get("content"))
    for name in _FIELDS:
        _add(parts, entry.get(name))
    return "\n".join(parts)[:MAX_CHARACTERS]


def _add(parts: list[str], value: Any) -> None:
    if isinstance(value, str):
        if value:
            parts.append(value[:MAX_CHARACTERS])
    elif isinstance(value, list):
        for block in value:
            if isinstance(block, dict):
                for name in ("text", "thinking"):
                    text = block.get(name)
                    if isinstance(text, str) and text:
                        parts.append(text[:MAX_CHARACTERS])
