"""Read which lines an export has.

It does not need the driver of MongoDB: a tool imports that when there is something
above the export.
"""

import json
import sqlite3
from typing import Any, NamedTuple

_BASE = "select name, value from export_info where name in ('export_id', 'watermarks')"


class Base(NamedTuple):
    """The published state below the tables."""

    export_id: str
    marks: dict[str, int]

    def has(self, buffer: str, seq: int) -> bool:
        """Return whether a line is published."""
        return seq <= self.marks.get(buffer, 0)

    def is_behind(self, acknowledged: dict[str, int]) -> bool:
        """Return whether it lacks a line up to these watermarks."""
        return any(not self.has(*mark) for mark in acknowledged.items())


def base_of(export: sqlite3.Connection) -> Base:
    """Return the published state of an export."""
    found = {str(row[0]): str(row[1]) for row in export.execute(_BASE)}
    try:
        marks: Any = json.loads(found.get("watermarks") or "{}")
    except ValueError:
        marks = {}
    named = marks.items() if isinstance(marks, dict) else ()
    counted = {str(name): n for name, n in named if isinstance(n, int)}
    return Base(found.get("export_id", ""), counted)
