"""Find out whether BSON and MongoDB can store a parsed object faithfully."""

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_KEYS = 200
MAX_DIGIT_KEYS = 20
MAX_DEPTH = 100
INT64 = 1 << 63
_CONTAINERS = (dict, list)

# A long run of digits may be an integer that orjson has rounded to a float.
_LONG_NUMBER = re.compile(rb"\d{19,}")


def line_problem(body: bytes, entry: dict[str, Any], *, exact: bool) -> str:
    """Return why a parsed line can't be stored parsed; empty if it can.

    The encoder itself refuses keys with NUL, and integers that only fit into unsigned
    64 bits.

    Args:
        body: The bytes of the line.
        entry: The parsed bytes.
        exact: Whether `entry` serialises to the same bytes.
    """
    if not exact and _LONG_NUMBER.search(body) and _has_wide_integer(body):
        return "an integer over 64 bits"
    return _odd_shape(entry)


def value_problem(value: Any) -> str:
    """Return why an object can't be stored that the encoder has not checked."""
    if _has_nul_in_a_key(value):
        return "a key that contains NUL"
    if any(_is_wide(item) for item in _parts(value)):
        return "an integer over 64 bits"
    return _odd_shape(value)


def _odd_shape(value: Any) -> str:
    """Return whether an object has too many keys or levels, or looks like a DBRef.

    This runs for every line, so it visits containers only, level by level.
    """
    level = [value]
    for _depth in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                if len(item) > MAX_KEYS or "$ref" in item or "1" in item:
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
    return f"nested deeper than {MAX_DEPTH}"


def _bad_keys(item: dict[str, Any]) -> str:
    if len(item) > MAX_KEYS:
        return f"an object of {len(item)} keys"
    digits = sum(key.isdigit() for key in item)
    if digits > MAX_DIGIT_KEYS:
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
    """Yield a value and everything in it, without recursion."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if type(item) is dict:
            waiting += item.values()
        elif type(item) is list:
            waiting += item
