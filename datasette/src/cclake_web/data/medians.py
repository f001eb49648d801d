"""Exact medians of any selection, without reading all of its durations.

How many of a selection lie below the edges of each tool is known from the sums;
so the median is looked for between two edges only, and not at all where all
durations between them are the same.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence

from cclake_web.data.sums import EDGES

_EDGES = ", ".join(f"t{n}" for n in range(1, EDGES + 1))


def median(
    connection: sqlite3.Connection,
    tool: str | None,
    timed: int,
    below: Sequence[int],
    chosen: str,
    values: dict[str, object],
) -> float | None:
    """The exact median of the durations of a tool, in seconds.

    Args:
        connection: Of the export with its sums.
        tool: The tool's name.
        timed: How many durations the selection has.
        below: How many of them lie below each edge, rising.
        chosen: The condition of the selection on the table of durations.
        values: What the condition needs.
    """
    if not timed:
        return None
    edges = connection.execute(
        f"select {_EDGES} from sums.edges where tool is ?", (tool,)
    ).fetchone()
    low, high = (timed - 1) // 2, timed // 2
    at = bisect_right(below, low) if edges else 0
    first = edges[at - 1] if at else None
    end = edges[at] if edges and at < EDGES else None
    together = end is None or below[at] > high  # both middle ones, before the edge
    if at and together and first == _longest(connection, tool, end):
        return float(first) / 1000
    rows = connection.execute(
        f"""select ms from sums.durations where tool is :tool
        {"" if first is None else "and ms >= :first"} and {chosen}
        order by ms limit :both offset :skip""",
        values
        | {"tool": tool, "first": first, "both": high - low + 1,
           "skip": low - (below[at - 1] if at else 0)},
    ).fetchall()  # fmt: skip
    return float(sum(ms for (ms,) in rows)) / len(rows) / 1000


def _longest(
    connection: sqlite3.Connection, tool: str | None, end: float | None
) -> object:
    """The longest duration of a tool, or the longest below an edge."""
    row = connection.execute(
        f"""select max(ms) from sums.durations where tool is :tool
        {"" if end is None else "and ms < :end"}""",
        {"tool": tool, "end": end},
    ).fetchone()
    return row[0]
