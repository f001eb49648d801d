"""Build the parts of the view of a tool call."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup
from pygments.lexer import Lexer

from cclake_web.data.blocks import Call
from cclake_web.formatting import squeeze
from cclake_web.render.code import colour, lexer_for, lexer_named
from cclake_web.render.cuts import LONGEST, folded, left_out
from cclake_web.render.safe import plain, visible
from cclake_web.render.terminal import screen

Fields = dict[str, Any]
REJECTED = "rejected by you"  # outcomes of a call
NOT_APPLIED = "not applied"
_REJECTED = re.compile(
    r"(?:Error: )?(?:The user doesn't want to (?:proceed|take this action)"
    r"|The tool use was rejected)"
)
_SAID = re.compile(r"the user said:\s*(\S.*)", re.DOTALL)
_ERROR_TAG = re.compile(r"</?tool_use_error>")


@dataclass
class View:
    """A call as it is shown: icon, name, summary line, and folded content.

    Attributes:
        content: The folded content, or what draws it: few calls are ever unfolded.
        outcome: How it ended, in a word, where that is not simply done or failed.
        size: Number of characters of a content that is still to be drawn.
    """

    icon: str
    label: str
    summary: str
    content: Markup | Callable[[], Markup]
    outcome: str = ""
    size: int = 0

    @cached_property
    def body(self) -> Markup:
        """The folded content."""
        return self.content() if callable(self.content) else self.content


def text_in(fields: Any, *names: str) -> str:
    """Return the first of these fields that is a text, or ""."""
    for name in names:
        value = fields.get(name) if isinstance(fields, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def objects_in(fields: Any, name: str) -> list[Fields]:
    """Return the objects in a field that is a list, or []."""
    value = fields.get(name) if isinstance(fields, dict) else None
    return (
        [one for one in value if isinstance(one, dict)] if type(value) is list else []
    )


def texts_in(fields: Any, name: str) -> list[str]:
    """Return the texts in a field that is a list, or []."""
    value = fields.get(name) if isinstance(fields, dict) else None
    return [one for one in value if isinstance(one, str)] if type(value) is list else []


def number_in(fields: Any, name: str) -> float | None:
    """Return a field that is a number and not negative, or None."""
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e15 else None


def result_of(call: Call) -> Fields:
    """Return the structured result of a call, or {}."""
    found = call.result.result if call.result else None
    return found if isinstance(found, dict) else {}


def pre(text: str, *, kind: str = "out", line: str = "") -> Markup:
    """Return the output of a tool, with its colours; what is long is folded."""
    if not text.strip():
        return Markup("")
    shown = screen(text[:LONGEST])
    made = Markup('<pre class="{}" tabindex="0"><code>{}</code></pre>')

    def draw(start: int, end: int) -> Markup:
        return made.format(kind, shown.html(start, end))

    return folded(shown.text, draw) + left_out(len(text) - LONGEST, line)


def source(
    text: str, filename: str = "", language: str = "", first: int | None = None
) -> Markup:
    """Return source code with colours; what is long is folded.

    Args:
        text: The code.
        filename: Its file, which tells the language.
        language: The language, if it is known otherwise.
        first: The number of the first line; None shows no numbers.
    """
    if not text.strip():
        return Markup("")
    lexer = lexer_named(language) if language else lexer_for(_base(filename))
    left = len(text) - LONGEST
    text = visible(text[:LONGEST])  # now, since a fold may cut a terminal sequence
    lines = _coloured_lines(text, lexer)
    ends = {len(text), *(match.start() for match in re.finditer("\n", text))}

    def draw(start: int, end: int) -> Markup:
        before = text.count("\n", 0, start)
        if end in ends and (not start or start - 1 in ends):
            html = Markup("\n").join(lines[before : text.count("\n", 0, end) + 1])
        else:  # a line is cut
            html = plain(text[start:end])
        return code_block(html, None if first is None else first + before)

    return folded(text, draw) + left_out(left)


def _coloured_lines(text: str, lexer: Lexer | None) -> list[Markup]:
    lines = colour(text, lexer).split("\n")
    wanted = text.count("\n") + 1
    if len(lines) == wanted + 1 and not lines[-1]:  # the formatter ends the last line
        lines.pop()
    return lines if len(lines) == wanted else plain(text).split("\n")


def code_block(html: Markup, first: int | None = None) -> Markup:
    """Return code that is HTML already, with the numbers of its lines."""
    if first is None:
        made = Markup('<pre class="code" tabindex="0"><code>{}</code></pre>')
        return made.format(html)
    last = first + html.removesuffix("\n").count("\n")
    numbers = "\n".join(map(str, range(first, last + 1)))
    made = Markup(
        '<pre class="code numbered" tabindex="0"><i data-n="{}"></i>'
        "<code>{}</code></pre>"
    )
    return made.format(numbers, html)


def short_source(text: str, language: str) -> Markup:
    """Return source code within a line."""
    return Markup("<code>{}</code>").format(colour(text, lexer_named(language)))


def output(call: Call) -> Markup:
    """Return the result of a call as text; of a rejected one, what the user said."""
    if call.result is None:
        return Markup('<p class="cut">No result was recorded.</p>')
    said = rejection(call)
    if said is not None:
        made = Markup('<p class="decided rejected">{}</p>')
        return made.format(
            plain(f"Rejected by you: {said}" if said else "Rejected by you")
        )
    text = _ERROR_TAG.sub("", call.result.text) if call.is_error else call.result.text
    kind = "out err" if call.is_error else "out"
    return pre(text, kind=kind, line=call.result_doc)


def rejection(call: Call) -> str | None:
    """Return what the user said when rejecting a call; None if it was not rejected."""
    text = call.result.text if call.result and call.is_error else ""
    if not _REJECTED.match(text):
        return None
    said = _SAID.search(text)
    return squeeze(said[1], 2000) if said else ""


def short_path(path: str) -> str:
    """Return the last parts of a path, for one line."""
    parts = squeeze(path, 400).replace("\\", "/").split("/")
    return "/".join(parts[-3:]) if len(parts) > 4 else "/".join(parts)


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2][:120] or "x"
