"""Read and write JSON text, including values that orjson refuses."""

import json
import re
from typing import Any

import orjson

STEP = "  "  # of indentation
DEEPEST = 20  # maximum number of steps; deeper values stand below each other
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def dumps(value: Any, indent: bool = False) -> str:
    """Return JSON on one line, or indented by two spaces."""
    option = orjson.OPT_INDENT_2 if indent else None
    try:
        return orjson.dumps(value, option=option, default=str).decode()
    except TypeError:  # numbers over 64 bits, halves of surrogate pairs
        return json.dumps(value, indent=2 if indent else None, default=str)


def loads(text: bytes | str) -> Any:
    """Return the value of JSON text, or None if it is invalid."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def indented(text: str) -> str | None:
    """Return JSON text with line breaks, its values unchanged, or None if invalid.

    Parsing and writing it again would round long numbers and drop repeated names.
    """
    if text.lstrip()[:1] not in ("{", "[") or loads(text) is None:
        return None
    out: list[str] = []
    depth = 0
    tokens = _TOKENS.findall(text)
    for number, token in enumerate(tokens):
        after = tokens[number + 1] if number + 1 < len(tokens) else ""
        before = tokens[number - 1] if number else ""
        depth += token in ("{", "[")
        if token in ("}", "]"):
            depth -= 1
            if before not in ("{", "["):
                out.append("\n" + STEP * min(depth, DEEPEST))
        out.append(": " if token == ":" else token)
        if token == "," or (token in ("{", "[") and after not in ("}", "]")):
            out.append("\n" + STEP * min(depth, DEEPEST))
    return "".join(out)
