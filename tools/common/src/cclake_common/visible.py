"""Show the control characters of foreign text instead of sending them."""

import re
import sys

# Controls (C0, DEL, C1), direction marks, zero-width characters, line separators.
_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
_ODD_IN_LINES = re.compile(r"(?!\n)" + _ODD.pattern)


def visible(text: str) -> str:
    r"""Return a text as one line that shows each control character, as `\x1b`.

    Paths, names and texts of logs come from others. Printed as they are, they could
    move the cursor, set the clipboard, or hide a part of themselves.
    """
    return _ODD.sub(_seen, text)


def visible_lines(text: str) -> str:
    """Return a text as `visible` does, but keep its line breaks."""
    return _ODD_IN_LINES.sub(_seen, text)


def printable(data: str) -> str:
    """Return data for standard output: unchanged, unless that is a terminal."""
    return visible_lines(data) if sys.stdout.isatty() else data


def _seen(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()
