"""Characters that deceive the eye are shown, terminal colours are dropped."""

import re

from markupsafe import Markup, escape

# ESC [ … letter (colours, cursor), ESC ] … BEL or ST (titles, links), ESC letter
_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_=>c78]"
)
# controls except tab and newline, direction marks, invisible and odd spaces
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Strip terminal sequences and show every other control character."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return _ODD.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹U+{code:04X}›"


def plain(text: str) -> Markup:
    """Text as HTML text: visible and escaped."""
    return escape(visible(text))
