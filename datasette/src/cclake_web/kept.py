"""Show what the user keeps, on pages and in downloads."""

import sys
from dataclasses import replace
from typing import Any

from cclake_common.failure import Failure
from cclake_common.kept import Kept, Store
from cclake_common.masking import mask


def readable(store: Store) -> list[Kept]:
    """Return all stars, labels and notes; none if they can't be read."""
    try:
        return store.all()
    except Failure as failure:
        print(f"web: {failure}", file=sys.stderr)
        return []


def of_session(store: Store, session_id: str, reveal: bool) -> dict[str, Kept]:
    """Return what is kept of a session and its messages, by entry."""
    return {
        one.entry_key: one if reveal else masked(one)
        for one in readable(store)
        if one.session_id == session_id
    }


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
