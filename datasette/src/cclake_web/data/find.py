"""Find a phrase within one session, ignoring case."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from cclake_common.masking import mask

from cclake_web.render.items import QUIET
from cclake_web.render.safe import visible

MOST = 300  # maximum number of listed places
LONGEST = 200  # maximum characters of the phrase
BEFORE, AFTER = 48, 110  # number of characters shown around a place
_MARKS = re.compile(r"[*`]{1,3}|^#+\s+", re.MULTILINE)
_SPACE = re.compile(r"\s+")
_PLACES = """select e.entry_key, e.agent_id, e.message_kind, b.block_kind, b.text,
    b.tool_name, b.tool_input
from thread_entries e join thread_blocks b
    on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
where e.session_id = ? order by e.position, b.block_no"""


@dataclass(frozen=True)
class Place:
    """A place where the phrase occurs, with some text around it.

    Attributes:
        key: The entry.
        agent: The subagent whose thread it is in, "" in the main thread.
        kind: The kind of text: prompt, answer, thinking, tool_use, tool_result, …
        before: The text before the phrase, on one line.
        words: The phrase as the text has it.
        after: The text after the phrase.
    """

    key: str
    agent: str
    kind: str
    before: str
    words: str
    after: str


def places(
    connection: sqlite3.Connection,
    session_id: str,
    words: str,
    *,
    everything: bool = False,
    reveal: bool = False,
) -> list[Place]:
    """Return all places of a phrase in a session, in order; at most `MOST` + 1.

    Text inside a masked secret is not found, since that would reveal it.

    Args:
        connection: Of the export.
        session_id: The session.
        words: The phrase; any white space counts as one space.
        everything: Whether system lines are shown, and therefore searched.
        reveal: Whether secrets are shown.
    """
    wanted = _SPACE.sub(" ", words.strip())[:LONGEST]
    if not wanted:
        return []
    pattern = re.compile(re.escape(wanted), re.IGNORECASE)
    found: list[Place] = []
    for row in connection.execute(_PLACES, (session_id,)):
        if row["message_kind"] in QUIET and not everything:
            continue
        place = _place(row, pattern, reveal)
        if place:
            found.append(place)
            if len(found) > MOST:
                break
    return found


def _place(row: sqlite3.Row, pattern: re.Pattern[str], reveal: bool) -> Place | None:
    for text in _texts(row):
        shown = _line(text)
        match = pattern.search(shown)
        if match and not reveal:
            shown = _line(mask(text))
            match = pattern.search(shown)
        if match:
            return _around(row, shown, match)
    return None


def _line(text: str) -> str:
    return _SPACE.sub(" ", visible(text))


def _around(row: sqlite3.Row, text: str, match: re.Match[str]) -> Place:
    start, end = match.span()
    kind = row["block_kind"]
    return Place(
        key=row["entry_key"],
        agent=row["agent_id"] or "",
        kind=row["message_kind"] or "" if kind == "text" else kind,
        before=text[max(0, start - BEFORE) : start],
        words=match.group(),
        after=text[end : end + AFTER],
    )


def _texts(row: sqlite3.Row) -> Iterator[str]:
    """Yield the texts of a block: as rendered, then as written."""
    text = row["text"] or ""
    if row["block_kind"] == "tool_use":
        yield f"{row['tool_name'] or ''} {_said(row['tool_input'] or '')}"
        return
    if row["block_kind"] in ("text", "thinking"):
        yield _MARKS.sub("", text)
    yield text


def _said(tool_input: str) -> str:
    """Return the strings of a tool's input, or the input itself if it is not JSON."""
    try:
        return "\n".join(_strings(orjson.loads(tool_input)))
    except orjson.JSONDecodeError:
        return tool_input


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            inner = one.values() if isinstance(one, dict) else one
            waiting += reversed(list(inner))
