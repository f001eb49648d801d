"""Show hits of a search; their secrets are masked."""

import os
from typing import Any
from urllib.parse import quote

from cclake_common.masking import mask
from cclake_common.search import excerpt

Row = dict[str, Any]


def hit(row: Row) -> Row:
    """Return a hit of the index as it is shown."""
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
