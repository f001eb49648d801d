"""Mask secrets in the rows that Datasette reads."""

import sqlite3
from typing import Any

from cclake_archive.json_text import dumps, loads
from cclake_common.masking import SHORTEST, mask, mask_value


def masked_row(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> sqlite3.Row:
    """Return a row with the secrets in its cells masked."""
    return sqlite3.Row(cursor, tuple(map(_cell, row)))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return mask_json(value) if len(value) >= SHORTEST else value
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value  # images and other bytes, which no page shows as text
        masked = mask_json(text)
        return value if masked == text else masked.encode()
    return value


def mask_json(text: str) -> str:
    """Mask a text; if it is JSON, also mask each value by its name."""
    masked = mask(text)
    if text.lstrip()[:1] not in ("{", "["):
        return masked
    value = loads(masked)
    hidden = mask_value(value)
    return masked if hidden == value else dumps(hidden)


def mask_names(row: dict[str, Any], *kept: str) -> dict[str, Any]:
    """Return a row with its texts masked, except addresses."""
    return {
        name: mask(value) if isinstance(value, str) and name not in kept else value
        for name, value in row.items()
    }
