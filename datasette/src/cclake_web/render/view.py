"""Build the parts of the view of a tool call."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import plural, squeeze
from cclake_web.render.code import clip, colour, lexer_for, lexer_named
from cclake_web.render.safe import plain

Fields = dict[str, Any]


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


def pre(text: str, *, kind: str = "out") -> Markup:
    """Return a block of text in fixed width, cut if it is very long."""
    if not text.strip():
        return Markup("")
    shown, left = clip(text)
    return _block(kind, plain(shown), left)


def source(text: str, filename: str = "", language: str = "") -> Markup:
    """Return source code with colours, cut if it is very long."""
    if not text.strip():
        return Markup("")
    shown, left = clip(text)
    lexer = lexer_named(language) if language else lexer_for(_base(filename))
    return _block("code", colour(shown, lexer), left)


def short_source(text: str, language: str) -> Markup:
    """Return source code within a line."""
    return Markup("<code>{}</code>").format(colour(text, lexer_named(language)))


def _block(kind: str, html: Markup, left: int) -> Markup:
    made = Markup('<pre class="{}" tabindex="0"><code>{}</code></pre>')
    more = Markup('<p class="cut">{} more</p>').format(plural(left, "character"))
    return made.format(kind, html) + (more if left else Markup(""))


def output(call: Call) -> Markup:
    """Return the result of a call as text."""
    if call.result is None:
        return Markup('<p class="cut">No result was recorded.</p>')
    return pre(call.result.text, kind="out err" if call.is_error else "out")


def short_path(path: str) -> str:
    """Return the last parts of a path, for one line."""
    parts = squeeze(path, 400).replace("\\", "/").split("/")
    return "/".join(parts[-3:]) if len(parts) > 4 else "/".join(parts)


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2][:120] or "x"
