"""Format values by their type: texts as text, SQL as SQL, JSON with line breaks."""

import re
from typing import Any

from cclake_archive.json_text import dumps, indented, loads
from markupsafe import Markup

from cclake_web.data.blocks import Call
from cclake_web.formatting import squeeze
from cclake_web.render.safe import plain
from cclake_web.render.view import Fields, output, pre, short_source, source

MOST = 60  # maximum number of arguments that are listed
SHORT = 200  # maximum characters of a text that stands beside its name
LONGEST_JSON = 50_000  # maximum characters of JSON that is formatted
# What a call asks for, most telling first.
_TELLING = (
    "title", "subject", "query", "sql", "question", "summary", "url", "uri", "prompt",
    "command", "message", "text", "name", "path", "file_path", "filename", "pattern",
    "description", "skill", "selector", "element", "id",
)  # fmt: skip
_SQL_NAMES = ("sql", "statement", "query")
_SQL = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(?:select|with|insert\s+into|update|delete\s+from|create|alter"
    r"|drop|merge\s+into|explain|pragma|truncate)\b",
    re.IGNORECASE,
)
_CODE = {"command": "bash", "script": "javascript", "code": "", "css": "css"}


def about(given: Fields) -> str:
    """Return what a call asks for, in one line."""
    named = {name.lower(): value for name, value in given.items()}
    values = [*(named.get(name) for name in _TELLING), *given.values()]
    for value in values:
        if isinstance(value, str) and value.strip():
            return squeeze(value, 120)
    return ""


def arguments(given: Any) -> Markup:
    """Return the values of an object under their names, or any other value as JSON."""
    if given in (None, {}, []):
        return Markup("")
    if not isinstance(given, dict):
        return json_source(dumps(given))
    rows = [_row(str(name), value) for name, value in list(given.items())[:MOST]]
    if len(given) > MOST:
        left = Markup('<dt></dt><dd class="cut">{} more</dd>')
        rows.append(left.format(len(given) - MOST))
    return Markup('<dl class="args">{}</dl>').format(Markup("").join(rows))


def _row(name: str, value: Any) -> Markup:
    shown, is_long = _shown(name, value)
    row = Markup('<dt>{}</dt><dd class="long">{}</dd>' if is_long else _ROW)
    return row.format(plain(name[:SHORT]), shown)


_ROW = "<dt>{}</dt><dd>{}</dd>"


def _shown(name: str, value: Any) -> tuple[Markup, bool]:
    """Return a value, and whether it stands below its name."""
    if not isinstance(value, str):
        text = dumps(value)
        if len(text) > 80 and isinstance(value, (dict, list)):
            return json_source(text), True
        short = " ".join(line.strip() for line in (indented(text) or text).splitlines())
        return short_source(short, "json"), False
    if is_sql(name, value):
        return source(value, language="sql"), True
    if name in _CODE and value.strip():
        return source(value, language=_CODE[name]), True
    if "\n" in value.strip() or len(value) > SHORT:
        return structured(value) or pre(value), True
    return plain(value), False


def is_sql(name: str, text: str) -> bool:
    """Return whether an argument is SQL, by its name and its first word."""
    return name.lower() in _SQL_NAMES and _SQL.match(text) is not None


def json_source(text: str) -> Markup:
    """Return JSON text with line breaks and colours."""
    short = indented(text) if len(text) <= LONGEST_JSON else None
    return source(short or text, language="json")


def structured(text: str) -> Markup | None:
    """Return a text as formatted JSON, or None if it is not JSON."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > LONGEST_JSON:
        return None
    shown = indented(text)
    if shown is None:
        return None
    value = loads(text)
    if isinstance(value, dict) and any(map(_has_lines, value.values())):
        return arguments(value)
    return source(shown, language="json")


def _has_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value.strip()


def result(call: Call) -> Markup:
    """Return the result of a call: formatted JSON, or else the text."""
    text = call.result.text if call.result and not call.is_error else ""
    return structured(text) or output(call)
