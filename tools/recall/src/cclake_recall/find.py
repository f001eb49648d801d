"""Find what was said and done: hits of the full-text index, secrets masked."""

import os
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from cclake_common.masking import mask
from cclake_common.search import Within, excerpt, hits, question

Row = dict[str, Any]


def find(
    connection: sqlite3.Connection,
    words: str,
    kinds: Sequence[str],
    within: Within,
    *,
    limit: int,
    best: bool = False,
    offset: int = 0,
) -> tuple[list[Row], bool]:
    """Return hits with all words; where there is none, the best ones with some.

    Returns:
        The hits, and whether some of the words were enough. The excerpt of a hit has
        the marks `OPEN` and `CLOSE` around the words that were found.
    """
    asked = question(words)
    if not asked.match:
        return [], False
    found = hits(
        connection, asked.match, kinds, within, limit=limit, best=best, offset=offset
    )
    loose = not found and not offset and asked.match != asked.loose
    if loose:
        found = hits(connection, asked.loose, kinds, within, limit=limit, best=True)
    return [_hit(row) for row in found], loose and bool(found)


def _hit(row: Row) -> Row:
    # Secrets are searched for in the whole text: a rule does not know a part of one.
    whole = row["text"] or ""
    masked = mask(whole)
    snippet = row["snippet"] or ""
    return {
        "session": row["session_id"],
        "message": row["entry_key"],
        "at": row["said_at"],
        "kind": row["block_kind"],
        "role": row["message_kind"],
        "host": row["host"],
        "project": mask(row["project_name"] or row["project_key"] or ""),
        "title": title(row),
        "excerpt": snippet if masked == whole else excerpt(snippet, masked),
        "url": permalink(row["session_id"], row["entry_key"]),
    }


def title(row: Row) -> str:
    """Return what a session is called: its title, or its first prompt."""
    return mask(row["title"] or row["first_prompt"] or "")


def permalink(session: str, message: str | None = None) -> str:
    """Return the address of a session on the pages of this machine.

    Args:
        session: Its id.
        message: The message to begin at.
    """
    port = os.environ.get("WEB_PORT") or "3000"
    at = f"?at={quote(message, safe='')}" if message else ""
    return f"http://127.0.0.1:{port}/session/{quote(session, safe='')}{at}"
