"""Secrets in log text, shown as dots wherever log text is shown or copied.

A rule sees a text as its reader does: terminal colours, control characters and
zero-width characters are removed first, since one of them inside a token would hide it.
"""

from collections.abc import Iterable
from typing import Any

from cclake_common import secretnames, secrettokens
from cclake_common.hidden import Uncovered, uncover

MASK = "••••••••"
SHORTEST = 8  # characters; no rule finds less in a text without its name
Span = tuple[int, int]


def mask(text: str) -> str:
    """Replace every secret in a text by dots; a hint of its kind stays."""
    if len(text) < SHORTEST:
        return text
    found = list(_spans(text))
    seen = uncover(text)
    if seen:
        found += [seen.back(*span) for span in _seen(seen)]
    return _dotted(text, found) if found else text


def may_hold(text: str) -> bool:
    """Return whether a JSON text has anything to mask in its values."""
    return mask(text) != text


def mask_value(value: Any, deepest: int = 100, named: bool = False) -> Any:
    """Mask every string in parsed JSON, keys too; deeper levels become dots.

    Args:
        value: The value.
        deepest: Number of levels to look into.
        named: Whether its name is that of a secret.
    """
    if isinstance(value, str):
        hides = named and secretnames.is_value(value)
        return MASK if hides else mask(value)
    if named and isinstance(value, int | float) and not isinstance(value, bool):
        return MASK
    if isinstance(value, list | dict) and not deepest:
        return MASK
    if isinstance(value, list):
        return [mask_value(item, deepest - 1, named) for item in value]
    if isinstance(value, dict):
        of_pair = _tells(value.get("name")) or _tells(value.get("key"))
        return {
            mask(str(key)): mask_value(
                item,
                deepest - 1,
                _names(str(key), item) or (of_pair and key == "value"),
            )
            for key, item in value.items()
        }
    return value


def _tells(name: Any) -> bool:
    return isinstance(name, str) and secretnames.is_secret(name)


def _names(key: str, value: Any) -> bool:
    if isinstance(value, str) and key in ("auth", "_auth"):
        return secrettokens.is_pair(value)
    if isinstance(value, str) and key.lower().endswith("authorization"):
        return True
    if not isinstance(value, str) and not key.lower().endswith(_PASSWORDS):
        return False  # counts of tokens are numbers too
    return secretnames.is_secret(key)


_PASSWORDS = ("password", "passwords", "passwd", "pwd", "passphrase")


def _spans(text: str) -> Iterable[Span]:
    low = text.lower()
    if len(low) != len(text):  # of one letter, the lower case is two
        low = text.replace("İ", "I").lower()
    yield from secrettokens.spans(text, low)
    if secretnames.may_name(low):
        yield from secretnames.spans(text, low)


def _seen(seen: Uncovered) -> Iterable[Span]:
    yield from _spans(seen.text)
    low = seen.text.lower()
    if len(low) == len(seen.text):
        for at in dict.fromkeys(seen.seams):
            yield from secrettokens.starts(seen.text, low, at)


def _dotted(text: str, spans: list[Span]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start < end and end > done:
            if start >= done:
                parts += [text[done:start], MASK]
            done = end
    return "".join([*parts, text[done:]])
