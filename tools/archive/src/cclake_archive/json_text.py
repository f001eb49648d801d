"""Read and write JSON text, including values that orjson refuses."""

import json
from typing import Any

import orjson


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
