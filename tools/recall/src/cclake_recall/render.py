"""Render hits, sessions and conversations as text, for people and for pipes."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from itertools import groupby
from operator import itemgetter
from typing import Any

from cclake_common.model_names import short_name
from cclake_common.search import CLOSE, OPEN
from cclake_common.times import moment
from cclake_common.visible import visible, visible_lines

from cclake_recall.find import Row

NAMES = {
    "prompt": "you", "queued_prompt": "you", "answer": "Claude", "thinking": "Claude",
    "tool_result": "result", "agent_prompt": "task", "compact_summary": "summary",
    "api_error": "API error",
}  # fmt: skip
# Fields of a tool's input that describe a call, the best first.
_TELLING = (
    "command", "file_path", "notebook_path", "pattern", "query", "url", "description",
    "prompt",
)  # fmt: skip
_SPACE = re.compile(r"\s+")
_MARKS = str.maketrans("", "", OPEN + CLOSE)
NARROW = 70  # columns of a terminal
_TICKS = re.compile(r"`{3,}")


class Style:
    """Styles text with escape sequences on a terminal, and not elsewhere."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def bold(self, text: str) -> str:
        """Return bold text."""
        return self._set("1", text)

    def dim(self, text: str) -> str:
        """Return dim text."""
        return self._set("2", text)

    def hit(self, text: str) -> str:
        """Return the found words of a hit."""
        return self._set("1;33", text)

    def bad(self, text: str) -> str:
        """Return the text of a failure."""
        return self._set("31", text)

    def _set(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text


def json_line(row: Row) -> str:
    """Return a row as one line of ASCII JSON, without the marks of hits."""
    text = json.dumps(row)
    return text.replace("\\ue000", "").replace("\\ue001", "")


def tabs(values: Iterable[Any]) -> str:
    """Return values as one line with tabs between them."""
    return "\t".join(line(value) for value in values)


def line(value: Any, limit: int = 0) -> str:
    """Return a value as one line without control characters.

    Args:
        value: Text or a number; None is "".
        limit: Maximum number of characters; 0 for all of them.
    """
    text = "" if value is None else str(value)
    if limit:
        text = text[: 8 * limit]
    text = visible(_SPACE.sub(" ", text.translate(_MARKS)).strip())
    return text[: limit - 1].rstrip() + "…" if 0 < limit < len(text) else text


def hit_line(row: Row) -> str:
    """Return a hit for a pipe: time, session, message, kind, project, excerpt."""
    names = ("at", "session", "message", "kind", "project", "excerpt")
    return tabs(row[name] for name in names)


def hit_groups(rows: list[Row], style: Style, zone: tzinfo | None) -> Iterator[str]:
    """Yield lines for a terminal, with successive hits of a session grouped."""
    for number, (_, group) in enumerate(groupby(rows, key=itemgetter("session"))):
        some = list(group)
        if number:
            yield ""
        yield heading(some[0], style)
        for row in some:
            who = NAMES.get(row["role"], row["role"] or row["kind"])
            when = style.dim(stamp(row["at"], zone))
            yield f"  {when} {line(who)}: {_marked(row['excerpt'], style)}"


def heading(row: Row, style: Style) -> str:
    """Return the title of a session, and where it ran."""
    about = [row["project"], row["host"], row["session"]]
    return (
        style.bold(line(row["title"], 70) or "Untitled session")
        + "  "
        + style.dim(" · ".join(line(one) for one in about if one))
    )


def _marked(text: str, style: Style) -> str:
    text = _SPACE.sub(" ", text).strip()
    begin, *others = text.split(OPEN)
    parts = [visible(begin.replace(CLOSE, ""))]
    for other in others:
        word, _, after = other.partition(CLOSE)
        parts += [style.hit(visible(word)), visible(after.replace(CLOSE, ""))]
    return "".join(parts)


def stamp(time: str | None, zone: tzinfo | None) -> str:
    """Return a time of the export as local date, hour and minute."""
    at = moment(time)
    try:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else " " * 16
    except (OverflowError, ValueError):
        return " " * 16


def session_line(row: Row) -> str:
    """Return a session for a pipe."""
    return tabs([
        row["ended_at"], row["session"], row["project"], row["host"], row["turns"],
        row["tokens"], money(row["cost_usd"]), row["title"],
    ])  # fmt: skip


def session_row(row: Row, style: Style, zone: tzinfo | None, width: int) -> str:
    """Return a session as one line of a terminal."""
    at, name = stamp(row["ended_at"] or row["started_at"], zone), line(row["session"])
    if width < NARROW:
        head = f"{at[5:]} {name[:8]}"
    else:
        cost = f"{money(row['cost_usd']):>8} {row['turns'] or 0:>4}"
        head = f"{at} {name[:8]} {cost}  {line(row['project'], 18)}"
    title = line(row["title"], width - len(head) - 2) or "Untitled session"
    return f"{style.dim(head)}  {style.bold(title)}"


def money(value: float | None) -> str:
    """Return dollars with cents, or "" if the cost is unknown."""
    return "" if value is None else f"{value:.2f}"


def change_line(row: Row) -> str:
    """Return a change of a file for a pipe."""
    names = ("at", "session", "message", "operation", "added", "removed", "path")
    return tabs(row[name] for name in names)


def change_row(row: Row, style: Style, zone: tzinfo | None) -> str:
    """Return a change of a file as one line of a terminal."""
    what = f"{line(row['operation'])} +{row['added'] or 0} -{row['removed'] or 0}"
    return " ".join([
        style.dim(f"{stamp(row['at'], zone)} {line(row['session'])[:8]}"),
        style.bad(f"{what} failed") if row["failed"] else what,
        style.bold(line(row["path"])),
        style.dim(line(row["title"], 50)),
    ])  # fmt: skip


def conversation(
    messages: Iterable[Row], style: Style, zone: tzinfo | None, full: bool = False
) -> Iterator[str]:
    """Yield the lines of a conversation; calls and results are folded unless `full`."""
    said = ""
    for message in messages:
        lines = [
            one
            for block in message["blocks"]
            for one in _block_lines(block, style, full)
        ]
        if not lines:
            continue
        who = str(NAMES.get(message["role"], message["role"]))
        folded = message["role"] in ("tool_result", "thinking") and not full
        if who != said and not (folded and said == "Claude"):
            model = f" ({short_name(message['model'])})" if message["model"] else ""
            when = f"{stamp(message['at'], zone)}  turn {message['turn']}"
            yield ""
            yield f"{style.bold(line(f'{who}{model}'))}  {style.dim(when)}"
            said = who
        yield from lines


def _block_lines(block: Row, style: Style, full: bool) -> Iterator[str]:
    kind, text = block["kind"], block.get("text", "")
    if kind == "tool_use":
        agent = f"  [agent {line(block['agent'])}]" if "agent" in block else ""
        call = line(f"{block.get('tool', '')} {telling(block.get('input'))}", 160)
        yield style.dim(f"  > {call}{agent}")
        if full and block.get("input") is not None:
            yield from _indented(
                json.dumps(block["input"], indent=2, ensure_ascii=False)
            )
    elif kind == "tool_result" and not full:
        count = text.count("\n") + 1 if text else 0
        if block.get("failed"):
            yield style.bad(f"  ! {line(text, 160)}")
        elif count:
            yield style.dim(f"  < {count} line{'s' * (count != 1)}")
    elif kind == "thinking" and not full:
        if text:
            yield style.dim(f"  ~ {line(text, 120)}")
    elif kind == "context" and not full:
        yield style.dim(f"  + {line(text, 120)}")
    elif kind == "image":
        yield style.dim("  [image]")
    elif kind in ("tool_result", "thinking"):
        yield from _indented(text)
    elif text:
        yield visible_lines(text.rstrip("\n"))


def _indented(text: str) -> Iterator[str]:
    for one in text.rstrip("\n").split("\n"):
        yield f"    {visible(one)}"


def telling(given: Any) -> str:
    """Return the field of a tool's input that describes the call."""
    if not isinstance(given, dict):
        return "" if given is None else str(given)
    for name in _TELLING:
        if isinstance(given.get(name), str):
            return str(given[name])
    return json.dumps(given, ensure_ascii=False) if given else ""


def markdown(
    session: Row, messages: Iterable[Row], zone: tzinfo | None
) -> Iterator[str]:
    """Yield a conversation as Markdown, with calls and results in fences."""
    yield f"# {line(session['title']) or 'Untitled session'}"
    yield ""
    yield f"{session['url']}"
    said = ""
    for message in messages:
        who = str(NAMES.get(message["role"], message["role"]))
        if message["blocks"] and who != said:
            yield ""
            when = stamp(message["at"], zone)
            yield f"## {line(who)}, {when}, turn {message['turn']}"
            said = who
        for block in message["blocks"]:
            yield ""
            yield from _markdown_block(block)


def _markdown_block(block: Row) -> Iterator[str]:
    kind, text = block["kind"], block.get("text", "")
    if kind == "tool_use":
        given = json.dumps(block.get("input"), indent=2, ensure_ascii=False)
        yield f"Call of {line(block.get('tool', ''))}:"
        yield ""
        yield from _fenced(given, "json")
    elif kind == "image":
        yield "*An image.*"
    elif kind in ("tool_result", "thinking", "context"):
        if not text:
            return
        failed = " (failed)" if block.get("failed") else ""
        yield f"{kind.replace('_', ' ').capitalize()}{failed}:"
        yield ""
        yield from _fenced(text)
    else:
        yield visible_lines(text)


def _fenced(text: str, name: str = "") -> Iterator[str]:
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    yield f"{fence}{name}"
    yield visible_lines(text.rstrip("\n"))
    yield fence
