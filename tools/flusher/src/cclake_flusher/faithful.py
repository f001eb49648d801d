"""What BSON, or MongoDB, cannot hold as a parsed object."""

import json
import re
from typing import Any

MOST_KEYS = 200
MOST_DIGIT_KEYS = 20
DEEPEST = 100
INT64 = 1 << 63

# A long run of digits may be an integer that floats have swallowed silently.
_LONG_NUMBER = re.compile(rb"\d{19,}")


def obstacle(body: bytes, entry: Any, *, exact: bool) -> str:
    """Why a parsed line may not be stored parsed; empty if it may.

    A look at the bytes tells nearly always that nothing can be wrong; only
    otherwise the object is walked.

    Args:
        body: The bytes of the line.
        entry: What they parse to.
        exact: Whether `entry` gives back the same bytes.
    """
    if not exact and _LONG_NUMBER.search(body) and _has_wide_integer(body):
        return "an integer over 64 bits"
    if _is_plain(body):
        return ""
    return walk(entry)


def _is_plain(body: bytes) -> bool:
    return not (
        body.count(b'":') > MOST_KEYS
        or body.count(b"{") + body.count(b"[") > DEEPEST
        or b'"0":' in body
        or b'"1":' in body
        or b"$ref" in body
        or b"\\u0000" in body
        or b"\\u002" in body
        or b"\\u003" in body
    )


def walk(value: Any) -> str:
    """Why an object may not be stored; empty if it may."""
    level = [value]
    for _depth in range(DEEPEST + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if found := _bad_keys(item):
                    return found
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and not -INT64 <= item < INT64:
                return "an integer over 64 bits"
        level = [item for item in below if isinstance(item, dict | list | int)]
        if not level:
            return ""
    return f"nested deeper than {DEEPEST}"


def _bad_keys(item: dict[str, Any]) -> str:
    if len(item) > MOST_KEYS:
        return f"an object of {len(item)} keys"
    digits = 0
    for key in item:
        if "\0" in key:
            return "a key that holds NUL"
        digits += key.isdigit()
    if digits > MOST_DIGIT_KEYS:
        return f"an object of {digits} numbered keys"
    if "$ref" in item and "$id" in item:
        return "an object that looks like a database reference"
    return ""


def _has_wide_integer(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and not -INT64 <= item < INT64:
                return True
        level = below
    return False
