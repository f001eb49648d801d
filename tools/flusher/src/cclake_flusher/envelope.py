"""Scan the envelope of a line that is too long to parse in memory."""

import re
from typing import Any

import orjson

WANTED = frozenset((b"type", b"uuid", b"sessionId", b"timestamp", b"version"))
MAX_VALUE = 1000
# A string, a bracket, or a run of anything except strings and brackets.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|[^"{}\[\]]++', re.DOTALL)


def scan_envelope(body: bytes) -> dict[str, Any] | None:
    """Return the short top-level fields that the envelope needs; decode nothing else.

    Returns:
        None if the brackets show that the line is not a single object.
    """
    if not body.startswith(b"{"):
        return None
    found: dict[str, Any] = {}
    depth = 0
    key = between = b""
    for token in _TOKEN.finditer(body):
        start, end = token.span()
        first = body[start : start + 1]
        if first in (b"{", b"["):
            depth += 1
        elif first in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return found if end == len(body) else None
        elif depth == 1 and end - start < MAX_VALUE:
            text = body[start:end]
            if first != b'"':
                between = text.strip()
            elif between == b":" and key in WANTED:
                found[key.decode()] = _loads(text)
            else:
                key = text[1:-1]
    return None


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
