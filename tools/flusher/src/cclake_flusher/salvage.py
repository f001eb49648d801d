"""Recover the records of a broken line.

Real logs contain records that are cut off and followed by the next one on the same
line, two records without a newline between them, runs of NUL bytes, halves of
surrogate pairs, and bytes that are not UTF-8.
"""

import json
import math
import re
from typing import Any

from cclake_flusher.bson_limits import value_problem

# Keys that occur at the top level of a record, but not in its parts.
ENVELOPE = frozenset(
    (
        "uuid",
        "sessionId",
        "session_id",
        "timestamp",
        "leafUuid",
        "messageId",
        "snapshot",
    )
)
MAX_DIGITS = 4_000  # Python refuses integers of more than 4,300 digits
_START = re.compile(r'\{\s*"')
_BLANK = "\0 \t\r\ufeff"
_SURROGATES = re.compile("[\ud800-\udfff]")


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= MAX_DIGITS else None


DECODER = json.JSONDecoder(
    parse_float=_float, parse_int=_integer, parse_constant=lambda _name: None
)


def salvage(body: bytes, decoder: json.JSONDecoder = DECODER) -> list[dict[str, Any]]:
    """Return the complete records in a broken line, in order.

    The search stops before it takes quadratic time; a hostile line then yields the
    records found so far.
    """
    text = body.decode("utf-8", "replace")
    found: list[dict[str, Any]] = []
    position, searching = 0, False
    budget = 8 * len(text) + 100_000
    while budget > 0:
        position = _skip_blank(text, position)
        if position >= len(text):
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            budget -= 64 + max(0, error.pos - position)
            value, end = None, position
        except RecursionError:
            break
        if value is not None and _is_record(value, text, end, searching=searching):
            if not value_problem(value):
                found.append(_clean(value))
            position, searching = end, False
            continue
        start = _START.search(text, position + 1)
        if not start:
            break
        position, searching = start.start(), True
    return found


def _is_record(value: Any, text: str, end: int, *, searching: bool) -> bool:
    """Return whether a value is a record, not a part of one that was cut off."""
    if not isinstance(value, dict) or not value:
        return False
    if not searching:
        return True
    after = _skip_blank(text, end)
    closed = after >= len(text) or text[after] == "{"
    return closed and not ENVELOPE.isdisjoint(value)


def _skip_blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def _clean(value: Any) -> Any:
    """Replace halves of surrogate pairs, which can't be stored, with U+FFFD."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
