"""Draw the context strip: the size of the context over a session, with marks."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from cclake_web.data.thread import Mark, Page
from cclake_web.formatting import count

COLUMNS = 240
WIDE = 10  # pixels of a column in a short session
FULL = 90  # columns from which on the strip is as wide as the page
HEIGHT = 34
_SPACE = Markup('<rect class="space" x="{}" width="1" height="{}"/>')


@dataclass(frozen=True)
class Strip:
    """The drawing and the largest context in tokens."""

    svg: Markup
    highest: int


def contexts(connection: sqlite3.Connection, session_id: str) -> dict[str, int]:
    """Return the context of each response of a session in tokens, copies included."""
    rows = connection.execute(
        """select r.message_id, max(coalesce(r.context_tokens, 0))
        from (select distinct message_id from thread_entries where session_id = ?
            and agent_id is null and message_id is not null) e
        join fct_api_responses r on r.message_id = e.message_id group by 1""",
        (session_id,),
    )
    return dict(map(tuple, rows))


def failures(connection: sqlite3.Connection, session_id: str) -> set[str]:
    """Return entries of the main thread with a failed call."""
    rows = connection.execute(
        """select call_entry_key from fct_tool_calls
        where session_id = ? and is_error = 1 and agent_id is null""",
        (session_id,),
    )
    return {key for (key,) in rows if key}


def strip(
    marks: Sequence[Mark],
    sizes: dict[str, int],
    failed: set[str],
    pages: Sequence[Page],
    page: Page | None,
) -> Strip | None:
    """Draw bars for the context, a dot for each prompt, and errors in red."""
    highest = max(sizes.values(), default=0)
    if not highest or len(marks) < 3:
        return None
    step = max(1, -(-len(marks) // COLUMNS))
    columns = [marks[start : start + step] for start in range(0, len(marks), step)]
    parts = [_here(marks, page, step)] if len(pages) > 1 else []
    last = 0
    for x, column in enumerate(columns):
        size = max((sizes.get(mark.message_id, 0) for mark in column), default=0)
        last = size or last
        parts.append(_bar(x, last * (HEIGHT - 8) / highest, column, failed, last))
    width = f"{len(columns) * WIDE}" if len(columns) < FULL else "100%"
    drawn = Markup(
        '<svg viewBox="0 0 {} {}" width="{}" preserveAspectRatio="none">{}</svg>'
    )
    svg = drawn.format(len(columns), HEIGHT, width, Markup("").join(parts))
    return Strip(svg, highest)


def _bar(
    x: int, height: float, column: Sequence[Mark], failed: set[str], size: int
) -> Markup:
    bad = any(mark.key in failed or mark.kind == "api_error" for mark in column)
    asked = any(mark.kind == "prompt" for mark in column)
    tip = f"Turn {column[0].turn} · {count(size)} tokens of context"
    tip += ", an error" if bad else ""
    key = quote(column[0].key, safe="")
    marked = f'<rect class="asked" x="{x}" y="0" width="0.8" height="4"/>'
    # Numbers, our own words and a quoted key need no escaping.
    return Markup(
        f'<a href="?at={key}#e-{key}" data-tip aria-label="{tip}" '
        f'tabindex="-1"><rect class="{"bad" if bad else "size"}" x="{x}" '
        f'y="{HEIGHT - height:.1f}" width="0.8" height="{height:.1f}"/>'
        f"{marked if asked else ''}"
        f'<rect class="space" x="{x}" width="1" height="{HEIGHT}"/></a>'
    )


def _here(marks: Sequence[Mark], page: Page | None, step: int) -> Markup:
    if page is None:
        return Markup("")
    inside = [n for n, m in enumerate(marks) if page.first <= m.position <= page.last]
    first, last = inside[0] // step, inside[-1] // step + 1
    return Markup('<rect class="here" x="{}" width="{}" height="{}"/>').format(
        first, last - first, HEIGHT
    )
