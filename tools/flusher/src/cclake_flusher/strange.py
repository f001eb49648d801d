"""What a parsed log line holds that this version does not know."""

from typing import Any

from cclake_flusher.known import FIELDS, TYPES

LONGEST_NAME = 100
Key = tuple[str, str, str]
"""Claude Code version, `type` or `field`, name."""


def strange(entry: dict[str, Any]) -> tuple[Key, ...]:
    """The record type and the top-level fields that are unknown; mostly none."""
    kind = entry.get("type")
    new_type = kind is not None and not (isinstance(kind, str) and kind in TYPES)
    if not new_type and entry.keys() <= FIELDS:
        return ()
    version = _name(entry.get("version") or "unknown")
    found = [(version, "field", _name(field)) for field in entry.keys() - FIELDS]
    if new_type:
        found.append((version, "type", _name(kind)))
    return tuple(found)


def _name(value: object) -> str:
    text = value if isinstance(value, str) else type(value).__name__
    return text[:LONGEST_NAME].replace("\0", "\ufffd")
