"""Build the parts of the view of a tool call."""

import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import squeeze
from cclake_web.render.code import colour, lexer_for, lexer_named
from cclake_web.render.cuts import LONGEST, folded, left_out
from cclake_web.render.safe import plain
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
        outcome: How it ended, in a word, where that is not simply done or failed.
    """

    icon: str
    label: str
    summary: str
    body: Markup
    outcome: str = ""


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

    def draw(start: int, end: int) -> Markup:
        # Colours of what is folded would take time for what few unfold.
        html = plain(text[start:end]) if start else colour(text[:end], lexer)
        number = None if first is None else first + text.count("\n", 0, start)
        return code_block(html, number)

    return folded(text[:LONGEST], draw) + left_out(len(text) - LONGEST)


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
