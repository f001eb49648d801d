"""Search the full-text index; secrets in hits are masked."""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo
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
    zone: tzinfo | None = None,
) -> tuple[list[Row], bool]:
    """Return hits with all words or, if there are none, the best with some of them.

    Returns:
        The hits, and whether they have only some of the words. In the excerpt of a
        hit, `OPEN` and `CLOSE` mark the words that were found.
    """
    asked = question(words, zone)
    if asked.is_empty:
        return [], False
    kinds, within = asked.kinds(kinds), replace(within, operators=asked.operators)
    found = hits(
        connection, asked.match, kinds, within, limit=limit, best=best, offset=offset,
        words=asked.words,
    )  # fmt: skip
    loose = not found and not offset and asked.match != asked.loose
    if loose:
        found = hits(
            connection, asked.loose, kinds, within, limit=limit, best=True,
            words=asked.words,
        )  # fmt: skip
    return [_hit(row) for row in found], loose and bool(found)


def _hit(row: Row) -> Row:
    # Masking needs the whole text: the rules do not match part of a secret.
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
    """Return the title of a session, or its first prompt."""
    return mask(row["title"] or row["first_prompt"] or "")


def permalink(session: str, message: str | None = None) -> str:
    """Return the address of a session on the pages of this machine.

    Args:
        session: Its id.
        message: The message to jump to.
    """
    port = os.environ.get("WEB_PORT") or "3000"
    at = f"?at={quote(message, safe='')}" if message else ""
    return f"http://127.0.0.1:{port}/session/{quote(session, safe='')}{at}"
