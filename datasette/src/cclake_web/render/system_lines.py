"""Describe a system record of the log in words."""

from typing import Any

from cclake_web.data.blocks import Entry
from cclake_web.formatting import count, duration, one_line, plural
from cclake_web.render.view import Fields, number_in, text_in


def system_line(entry: Entry) -> str:
    """Return a system record in words, or "" if its kind is not known."""
    found = next((b.result for b in entry.blocks if isinstance(b.result, dict)), {})
    if entry.subtype == "turn_duration":
        took = number_in(found, "durationMs")
        words = [f"The turn took {duration(took / 1000)}" if took else ""]
        words += _counted(found, ("messageCount", "message"))
        words += _counted(found, ("pendingBackgroundAgentCount", "agent"), " running")
        words += _counted(found, ("pendingWorkflowCount", "workflow"), " running")
        return ", ".join(filter(None, words))
    if entry.subtype == "api_error":
        error: Any = found.get("error")
        inner = error.get("error") if isinstance(error, dict) else None
        said = text_in(error, "formatted", "message") or text_in(inner, "message")
        attempt, most = number_in(found, "retryAttempt"), number_in(found, "maxRetries")
        pause = number_in(found, "retryInMs")
        words = [f"API error {one_line(said, 160)}".strip()]
        if attempt:
            words.append(f"attempt {attempt:.0f}" + (f" of {most:.0f}" if most else ""))
        if pause:
            words.append(f"retry after {duration(pause / 1000)}")
        return ", ".join(words)
    return ""


def compaction(entry: Entry) -> str:
    """Return the sizes before and after a compaction in words, or "" if unknown."""
    found = next((b.result for b in entry.blocks if isinstance(b.result, dict)), {})
    before, after = number_in(found, "preTokens"), number_in(found, "postTokens")
    if not before:
        return ""
    how = {"auto": " automatically", "manual": " by the user"}
    sizes = f"{count(before)} tokens" + (" before" if after is None else "")
    if after is not None:
        sizes = f"{count(before)} → {count(after)} tokens"
    words = [f"Compacted{how.get(text_in(found, 'trigger'), '')}: {sizes}"]
    saved, took = number_in(found, "tokensSaved"), number_in(found, "durationMs")
    if saved:
        words.append(f"{count(saved)} saved")
    if took:
        words.append(
            f"{took / 1000:.0f} s" if took < 120_000 else duration(took / 1000)
        )
    return ", ".join(words)


def _counted(found: Fields, what: tuple[str, str], more: str = "") -> list[str]:
    name, word = what
    number = number_in(found, name)
    return [plural(number, word) + more] if number else []
