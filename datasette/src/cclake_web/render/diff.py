"""Render differences between texts, word by word, with the numbers of lines."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from markupsafe import Markup

from cclake_web.formatting import plural
from cclake_web.render.cuts import left_out, rest
from cclake_web.render.safe import plain

SHOWN = 200  # lines of a diff; the others are folded
PART = 5_000  # lines of one fold
MAX_LINES = 20_000  # maximum lines of a diff, which then says how many more it has
LONGEST = 1_600  # lines of two texts that are compared
MAX_WORDS = 2_000  # maximum characters of changed lines that are compared by word
MAX_PAIRS = 10_000  # maximum pairs of equal words in them: they are what takes time
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_SIGNS = {"-": "del", "+": "add", "\\": "note"}
GAP = "@@"


@dataclass(frozen=True)
class Hunk:
    """A run of changed lines, each with its sign, and what is around them.

    Attributes:
        lines: With the sign `-`, `+` or a space. A line `@@` stands for lines left out.
        old: The number of its first line before the change; 0 if it is unknown.
        new: The number of its first line after the change; 0 if it is unknown.
    """

    lines: list[str]
    old: int = 0
    new: int = 0

    def count(self, sign: str) -> int:
        """Return the number of lines with a sign."""
        return sum(line.startswith(sign) for line in self.lines)


def difference(old: str, new: str) -> Hunk:
    """Return the difference of two texts whose place in a file is unknown."""
    before, after = old.split("\n"), new.split("\n")
    if not old or not new:
        sign, lines = ("-", before) if old else ("+", after)
        return Hunk([sign + line for line in lines])
    if len(before) + len(after) > LONGEST:
        return Hunk([f"-{line}" for line in before] + [f"+{line}" for line in after])
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[3:]
    return Hunk([GAP if line.startswith(GAP) else line for line in lines])


def patch_hunks(patch: Any) -> list[Hunk]:
    """Return the valid hunks of a `structuredPatch`."""
    hunks: list[Hunk] = []
    for hunk in patch if isinstance(patch, list) else []:
        if isinstance(hunk, dict) and isinstance(hunk.get("lines"), list):
            lines = [line for line in hunk["lines"] if isinstance(line, str)]
            old, new = hunk.get("oldStart"), hunk.get("newStart")
            hunks.append(Hunk(lines, _number(old), _number(new)))
    return hunks


def _number(value: Any) -> int:
    is_line = isinstance(value, int) and 0 < value < 10**9
    return int(value) if is_line else 0


def diff_html(hunks: Sequence[Hunk], line: str = "") -> Markup:
    """Return hunks as HTML: numbered lines, changed words marked, gaps named.

    Args:
        hunks: The hunks.
        line: The line of the log that has what no page shows.
    """
    rows = list(islice(_rows(hunks), MAX_LINES))
    left = sum(len(hunk.lines) for hunk in hunks) - len(rows)
    made = Markup('<pre class="diff" tabindex="0"><code>{}</code></pre>')
    shown = made.format(Markup("").join(rows[:SHOWN]))
    for start in range(SHOWN, len(rows), PART):
        folded = rows[start : start + PART]
        html = made.format(Markup("").join(folded))
        shown += rest(plural(len(folded), "more line"), html)
    is_cut = len(rows) == MAX_LINES
    return shown + (left_out(left, line, "more line") if is_cut else Markup(""))


def _rows(hunks: Iterable[Hunk]) -> Iterable[Markup]:
    at = 0  # the line after the hunk before
    for number, hunk in enumerate(hunks):
        if number:
            between = hunk.old - at if hunk.old and at else 0
            yield _gap(plural(between, "unchanged line") if between > 0 else "")
        yield from _hunk_rows(hunk)
        at = hunk.old + len(hunk.lines) - hunk.count("+") if hunk.old else 0


def _hunk_rows(hunk: Hunk) -> Iterable[Markup]:
    runs = [
        (sign, [line[1:] for line in run])
        for sign, run in groupby(hunk.lines, key=lambda line: line[:1])
    ]
    old, new = hunk.old, hunk.new
    index = 0
    while index < len(runs):
        sign, texts = runs[index]
        index += 1
        if sign == GAP[0]:
            yield _gap("")
            continue
        left = right = [plain(text) for text in texts]
        if sign == "-" and index < len(runs) and runs[index][0] == "+":
            left, right = _change(texts, runs[index][1])
            yield from _lines("-", left, old)
            sign, texts = runs[index]
            old += len(left) if old else 0
            index += 1
        yield from _lines(sign, right, old if sign == "-" else new)
        old += len(right) if old and sign not in "+\\" else 0
        new += len(right) if new and sign not in "-\\" else 0


def _lines(sign: str, texts: list[Markup], first: int) -> Iterable[Markup]:
    kind = _SIGNS.get(sign, "same")
    mark = sign if sign in ("-", "+") else " "
    made = Markup('<span class="{}"{}><i>{}</i>{}\n</span>')
    for number, text in enumerate(texts, first):
        data = Markup(' data-n="{}"').format(number) if first else ""
        yield made.format(kind, data if kind != "note" else "", mark, text)


def _gap(words: str) -> Markup:
    return Markup('<span class="gap"><i>⋯</i>{}\n</span>').format(words)


def _change(removed: list[str], added: list[str]) -> tuple[list[Markup], list[Markup]]:
    old, new = "\n".join(removed), "\n".join(added)
    if len(old) + len(new) <= MAX_WORDS:
        return _by_word(old, new)
    return plain(old).split("\n"), plain(new).split("\n")


def _by_word(old: str, new: str) -> tuple[list[Markup], list[Markup]]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if _pairs(before, after) > MAX_PAIRS:
        return plain(old).split("\n"), plain(new).split("\n")
    matcher = difflib.SequenceMatcher(str.isspace, before, after, autojunk=False)
    if matcher.quick_ratio() < 0.4:
        return plain(old).split("\n"), plain(new).split("\n")
    left, right = Markup(""), Markup("")
    for tag, a, b, c, d in matcher.get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        left += plain(gone) if tag == "equal" else _marked("del", gone)
        right += plain(come) if tag == "equal" else _marked("ins", come)
    return left.split("\n"), right.split("\n")


def _pairs(before: list[str], after: list[str]) -> int:
    numbers = Counter(after)
    return sum(numbers[word] for word in before if not word.isspace())


def _marked(tag: str, text: str) -> Markup:
    """Return words in a mark, closed and reopened at line ends."""
    lines = (
        Markup(f"<{tag}>{{}}</{tag}>").format(plain(part)) if part else Markup("")
        for part in text.split("\n")
    )
    return Markup("\n").join(lines)
