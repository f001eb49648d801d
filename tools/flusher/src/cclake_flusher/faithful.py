"""What BSON, or MongoDB, cannot hold as a parsed object."""

import json
import re
from collections.abc import Iterator
from typing import Any

MOST_KEYS = 200
MOST_DIGIT_KEYS = 20
DEEPEST = 100
INT64 = 1 << 63
_CONTAINERS = (dict, list)

# A long run of digits may be an integer that floats have swallowed silently.
_LONG_NUMBER = re.compile(rb"\d{19,}")


def obstacle(body: bytes, entry: dict[str, Any], *, exact: bool) -> str:
    """Why a parsed line may not be stored parsed; empty if it may.

    Integers between 64 bits signed and unsigned, and keys that hold NUL, are left to
    the encoder, which refuses them.

    Args:
        body: The bytes of the line.
        entry: What they parse to.
        exact: Whether `entry` gives back the same bytes.
    """
    if not exact and _LONG_NUMBER.search(body) and _has_wide_integer(body):
        return "an integer over 64 bits"
    return _odd_shape(entry)


def walk(value: Any) -> str:
    """Why an object that was not parsed from JSON bytes may not be stored."""
    if _has_nul_in_a_key(value):
        return "a key that holds NUL"
    if any(_is_wide(item) for item in _parts(value)):
        return "an integer over 64 bits"
    return _odd_shape(value)


def _odd_shape(value: Any) -> str:
    """Too many keys, too deep, or what drivers take for something else.

    Every line passes here: it visits containers only, level by level.
    """
    level = [value]
    for _depth in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                if len(item) > MOST_KEYS or "$ref" in item or "1" in item:
                    found = _bad_keys(item)
                    if found:
                        return found
                values: Any = item.values()
            else:
                values = item
            below += [each for each in values if type(each) in _CONTAINERS]
        if not below:
            return ""
        level = below
    return f"nested deeper than {DEEPEST}"


def _bad_keys(item: dict[str, Any]) -> str:
    if len(item) > MOST_KEYS:
        return f"an object of {len(item)} keys"
    digits = sum(key.isdigit() for key in item)
    if digits > MOST_DIGIT_KEYS:
        return f"an object of {digits} numbered keys"
    if "$ref" in item and "$id" in item:
        return "an object that looks like a database reference"
    return ""


def _has_wide_integer(body: bytes) -> bool:
    try:
        return any(_is_wide(item) for item in _parts(json.loads(body)))
    except (ValueError, RecursionError):
        return False


def _is_wide(value: Any) -> bool:
    return type(value) is int and not -INT64 <= value < INT64


def _has_nul_in_a_key(value: Any) -> bool:
    return any(
        "\0" in key for item in _parts(value) if type(item) is dict for key in item
    )


def _parts(value: Any) -> Iterator[Any]:
    """A value and all that is in it, without recursion."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if type(item) is dict:
            waiting += item.values()
        elif type(item) is list:
            waiting += item
