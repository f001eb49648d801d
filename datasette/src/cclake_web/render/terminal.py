"""Render what a terminal would show: colours as classes, each line's last state."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markupsafe import Markup

from cclake_web.render.safe import SEQUENCE, plain, visible

MOST_RUNS = 4000  # coloured pieces of an output; what follows them is plain
_SPECIAL = re.compile("[\x1b\x9b\r\x08]")
_TOKEN = re.compile(
    r"(?P<colour>(?:\x1b\[|\x9b)(?P<codes>[0-9;:]{0,200})m)"
    r"|(?P<start>\r+|(?:\x1b\[|\x9b)[01]?G)|(?P<erase>\x08)"
    rf"|(?P<other>{SEQUENCE.pattern})"
)
_HUES = ("", "red", "green", "yellow", "blue", "magenta", "cyan", "")
_BRIGHT = ("grey", *_HUES[1:])
_SWITCHES = {
    1: ("bold", True), 2: ("dim", True), 3: ("italic", True), 4: ("under", True),
    7: ("inverse", True), 9: ("strike", True), 23: ("italic", False),
    24: ("under", False), 27: ("inverse", False), 29: ("strike", False),
}  # fmt: skip
_ANGLES = (
    (20, "red"), (72, "yellow"), (160, "green"), (200, "cyan"), (258, "blue"),
    (335, "magenta"),
)  # fmt: skip
Run = tuple[int, int, str]


@dataclass(frozen=True)
class Style:
    """Look of the next characters. Colours are names of hues, "" for the default."""

    ink: str = ""
    paper: str = ""
    flags: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        """The classes of this style, "" for the default one."""
        names = [f"t-{self.ink}"] if self.ink else []
        names += [f"t-{name}" for name in sorted(self.flags)]
        return " ".join([*names, f"on-{self.paper}"] if self.paper else names)


@dataclass(frozen=True)
class Screen:
    """The text that is left on a terminal, and its styled runs in order."""

    text: str
    runs: tuple[Run, ...] = ()

    def html(self, start: int = 0, end: int | None = None) -> Markup:
        """Return a part of the text as HTML."""
        end = len(self.text) if end is None else end
        parts: list[Markup] = []
        for first, last, classes in self.runs:
            low, high = max(first, start), min(last, end)
            if low < high:
                parts.append(plain(self.text[start:low]))
                span = Markup('<span class="{}">{}</span>')
                parts.append(span.format(classes, plain(self.text[low:high])))
                start = high
        return Markup("").join([*parts, plain(self.text[start:end])])


def screen(text: str) -> Screen:
    """Return what a terminal shows after an output.

    Of a line that was overwritten with carriage returns, only the last state is left.
    Sequences other than colours do nothing.
    """
    if not _SPECIAL.search(text):
        return Screen(text)
    done: list[str] = []
    runs: list[Run] = []
    length = 0
    for piece, classes in _pieces(text):
        done.append(piece)
        start, length = length, length + len(piece)
        if classes and len(runs) < MOST_RUNS:
            if runs and runs[-1][1:] == (start, classes):
                start = runs.pop()[0]
            runs.append((start, length, classes))
    return Screen("".join(done), tuple(runs))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of all lines, each with its classes."""
    style, classes = Style(), ""
    line: list[tuple[str, int, str]] = []  # each piece with its length that is left
    returned = False  # to the start of the line, so that a character would overwrite it
    at = 0
    for match in (*_TOKEN.finditer(text), None):
        end = match.start() if match else len(text)
        # A lone escape must not begin another sequence after what follows it is gone.
        for number, piece in enumerate(visible(text[at:end]).split("\n")):
            if number:
                yield from [*_left(line), ("\n", "")]
                line, returned = [], False
            if piece:
                line = [] if returned else line
                line.append((piece, len(piece), classes))
                returned = False
        if match is None:
            break
        at = match.end()
        if match["colour"]:
            style = _coloured(style, match["codes"])
            classes = style.classes
        elif match["start"]:
            returned = True
        elif match["erase"] and line:
            piece, left, of = line.pop()
            line += [(piece, left - 1, of)] if left > 1 else []
    yield from _left(line)


def _left(line: list[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    return ((piece[:left], classes) for piece, left, classes in line)


def _coloured(style: Style, codes: str) -> Style:
    """Return a style after a colour sequence."""
    numbers = _numbers(codes)
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = Style()
        elif code in (21, 22):
            style = replace(style, flags=style.flags - {"bold", "dim"})
        elif code in _SWITCHES:
            style = replace(style, flags=_switched(style.flags, *_SWITCHES[code]))
        elif code == 38:
            style = replace(style, ink=_extended(numbers))
        elif code == 48:
            style = replace(style, paper=_extended(numbers))
        elif code == 58:  # the colour of the underline, which is not shown
            _extended(numbers)
        elif 30 <= code <= 39:
            style = replace(style, ink=_HUES[code - 30] if code < 38 else "")
        elif 40 <= code <= 49:
            style = replace(style, paper=_HUES[code - 40] if code < 48 else "")
        elif 90 <= code <= 97:
            style = replace(style, ink=_BRIGHT[code - 90])
        elif 100 <= code <= 107:
            style = replace(style, paper=_BRIGHT[code - 100])
    return style


def _numbers(codes: str) -> list[int]:
    """Return codes; of those with colons, what they are with semicolons."""
    found: list[str] = []
    for code in codes.split(";"):
        name, *more = code.split(":")
        if not more:
            found.append(name)
        elif name in ("38", "48", "58"):  # 38:2:space:red:green:blue
            found += [name, more[0], *more[-3 if more[0] == "2" else -1 :]]
        else:  # 4:3 is a curly underline, 4:0 is none
            found.append("24" if code == "4:0" else name)
    return [int(one[-4:] or 0) for one in found]


def _switched(flags: frozenset[str], name: str, on: bool) -> frozenset[str]:
    return flags | {name} if on else flags - {name}


def _extended(numbers: list[int]) -> str:
    """Remove the rest of an extended colour from the codes; return its hue."""
    form = numbers.pop(0) if numbers else 0
    if form == 5 and numbers:
        index = numbers.pop(0)
        if index < 16:
            return (_HUES + _BRIGHT)[index]
        if index < 232:
            cube = index - 16
            return hue_of(
                *(level * 51 for level in (cube // 36, cube // 6 % 6, cube % 6))
            )
        return hue_of(*[8 + 10 * (index - 232)] * 3)
    if form == 2 and len(numbers) >= 3:
        red, green, blue, *_ = numbers
        del numbers[:3]
        return hue_of(red, green, blue)
    return ""


def hue_of(red: int, green: int, blue: int) -> str:
    """Return the hue that is nearest to a colour.

    There are few of them, since each must be readable in the light and the dark theme.
    """
    low, high = min(red, green, blue), max(red, green, blue)
    spread = high - low
    if spread < 48:
        return "grey" if 60 < high < 170 else ""
    if high == red:
        angle = (green - blue) / spread * 60 % 360
    elif high == green:
        angle = (blue - red) / spread * 60 + 120
    else:
        angle = (red - green) / spread * 60 + 240
    return next((name for limit, name in _ANGLES if angle < limit), "red")
