"""What the user keeps, as pages and downloads show it."""

from dataclasses import replace
from typing import Any

from cclake_common.kept import Kept
from cclake_common.masking import mask


def labels(kept: list[Kept]) -> list[tuple[str, str, int]]:
    """Return the labels in use, as a filter offers them: value, text, sessions."""
    found: dict[str, set[str]] = {}
    for one in kept:
        for label in one.labels:
            if mask(label) == label:
                found.setdefault(label, set()).add(one.session_id)
    return [(name, name, len(found[name])) for name in sorted(found, key=str.lower)]


def record(one: Kept, reveal: bool) -> dict[str, Any]:
    """Return what is kept as a record, its secrets masked unless they are revealed."""
    return (one if reveal else masked(one)).record()


def masked(one: Kept) -> Kept:
    """Return what is kept with the secrets in its words masked."""
    return replace(one, note=mask(one.note), labels=tuple(map(mask, one.labels)))
