"""Invisible characters, which could hide a secret from a rule."""

import re
from bisect import bisect_right

# Controls except tab and line ends, direction marks, zero-width characters.
ODD = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4"
    "\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
# The same without what begins a sequence: a run of these is one match.
_DULL = ODD.replace("\x0e-\x1f", "\x0e-\x1a\x1c-\x1f").replace(
    "\x86-\x9f", "\x86-\x9a\x9c-\x9f"
)
_CSI = r"[0-?]*[ -/]*[@-~]"  # colours, the cursor
# The pattern begins with one set of characters, which Python finds quickly; the rest of
# each sequence follows. Source code and JSON spell the same as `\x1b[…` and `\u200b`.
_HIDDEN = re.compile(
    rf"""[{ODD}\r\\](?:
    (?<=\x1b)(?:\[{_CSI}|[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)|[@-Z\\-_=>c78])
    |(?<=\x9b){_CSI}
    |(?<=\\)\\{{0,7}}(?:(?:u001[bB]|x1[bB]|033|e)\[|u009[bB]){_CSI}
    |(?<=\\)u001[bB]\][^\n"]{{0,2000}}?(?:\\u0007|\\u001[bB]\\\\)
    |(?<=\\)(?:[bf]|r(?!\\n)|u[dD][bB]4[0-3]\\u[dD][c-fC-F][0-9a-fA-F]{{2}})
    |(?<=\\)u(?:00[018][0-9a-fA-F]|009[0-9a-fA-F]|007[fF]|00[aA][dD]|034[fF]|061[cC]
        |115[fF]|1160|17[bB][45]|180[b-fB-F]|200[b-fB-F]|202[a-eA-E]|206[0-9a-fA-F]
        |3164|[fF][eE]0[0-9a-fA-F]|[fF][eE][fF][fF]|[fF][fF][aA]0|[fF][fF][fF][9abAB])
    |(?<=\\)u00([2-7][0-9a-fA-F])
    |(?<=\r)(?!\n)
    |(?<![\r\\])[{_DULL}]*)""",
    re.VERBOSE,
)
_PLAIN_ESCAPES = re.compile(r"\\u00(?:0[9aAdD])")


class Uncovered:
    """A text without its hidden characters, and the positions in the original.

    Attributes:
        text: What a reader sees.
        seams: Positions in it where something was removed.
    """

    def __init__(self, whole: str) -> None:
        self.seams: list[int] = []
        self._starts, self._shifts = [0], [0]  # where in `text` which shift begins
        self._spelled: set[int] = set()
        parts: list[str] = []
        done = length = 0
        for match in _HIDDEN.finditer(whole):
            start, end = match.span()
            if _PLAIN_ESCAPES.fullmatch(whole, start, end):
                continue  # a tab or the end of a line separates words
            letter = chr(int(match[1], 16)) if match[1] else ""
            if letter in ('"', "\\"):
                continue  # a plain one would end the text around it
            parts += [whole[done:start], letter]
            length += start - done + len(letter)
            done = end
            if letter:
                self._spelled.add(length - 1)
                self._starts.append(length - 1)
                self._shifts.append(start - length + 1)
            else:
                self.seams.append(length)
            self._starts.append(length)
            self._shifts.append(end - length)
        self.text = "".join([*parts, whole[done:]])

    def back(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the visible text lies in the original."""
        last = end - 1
        first_shift = self._shifts[bisect_right(self._starts, start) - 1]
        last_shift = self._shifts[bisect_right(self._starts, last) - 1]
        width = 6 if last in self._spelled else 1
        return start + first_shift, last + last_shift + width


def uncover(text: str) -> Uncovered | None:
    """Remove the hidden characters of a text; return None if it has none."""
    return Uncovered(text) if _HIDDEN.search(text) else None
