"""Make deceptive characters visible, and remove terminal sequences."""

import re

from markupsafe import Markup, escape

# ESC [ … letter (colours, cursor), ESC ] … BEL or ST (titles, links), ESC letter
SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[@-Z\\-_=>c78]"
)
# Controls except tab and newline, direction marks, invisible and odd spaces. Joiners of
# Persian and Hindi letters and of emoji are kept.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)


def visible(text: str) -> str:
    """Strip terminal sequences and show every other control character."""
    if "\x1b" in text or "\x9b" in text:
        text = SEQUENCE.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return _ODD.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹U+{code:04X}›"


def plain(text: str) -> Markup:
    """Return a text as HTML: visible and escaped."""
    return escape(visible(text))


def finalize(value: object) -> object:
    """Make a text visible when a template prints it."""
    return visible(value) if type(value) is str else value
