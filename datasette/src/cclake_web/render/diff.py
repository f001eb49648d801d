"""Render differences between texts, word by word."""

import difflib
import re
from collections.abc import Iterable
from itertools import groupby, islice
from typing import Any

from markupsafe import Markup

from cclake_web.render.safe import plain

MAX_LINES = 400  # maximum lines of a diff, which then says that there are more
MAX_WORDS = 2000  # maximum characters of changed lines that are compared by word
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


def diff_lines(old: str, new: str) -> list[str]:
    """Return a unified diff's lines, without its header."""
    before, after = old.split("\n"), new.split("\n")
    if len(before) + len(after) > 4 * MAX_LINES:
        return [f"-{line}" for line in before] + [f"+{line}" for line in after]
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return [line for line in lines if not line.startswith("@@")]


def patch_hunks(patch: Any) -> list[tuple[int, list[str]]]:
    """Return the valid hunks of a `structuredPatch`: (first line, lines)."""
    hunks: list[tuple[int, list[str]]] = []
    for hunk in patch if isinstance(patch, list) else []:
        if isinstance(hunk, dict) and isinstance(hunk.get("lines"), list):
            lines = [line for line in hunk["lines"] if isinstance(line, str)]
            start = hunk.get("newStart")
            hunks.append((start if isinstance(start, int) else 0, lines))
    return hunks


def diff_html(lines: Iterable[str]) -> Markup:
    """Return lines with their sign as HTML, changed words marked."""
    shown = list(islice(lines, MAX_LINES + 1))
    runs = [
        (sign, [line[1:] for line in run])
        for sign, run in groupby(shown[:MAX_LINES], key=lambda line: line[:1])
    ]
    parts: list[Markup] = []
    index = 0
    while index < len(runs):
        sign, texts = runs[index]
        index += 1
        if sign == "-" and index < len(runs) and runs[index][0] == "+":
            parts += _change(texts, runs[index][1])
            index += 1
        else:
            kind, mark = {"-": ("del", "-"), "+": ("add", "+")}.get(sign, ("same", " "))
            parts += [_line(kind, mark, plain(text)) for text in texts]
    if len(shown) > MAX_LINES:
        parts.append(_line("skip", " ", Markup("… more lines")))
    return Markup("").join(parts)


def _change(removed: list[str], added: list[str]) -> list[Markup]:
    old, new = "\n".join(removed), "\n".join(added)
    if len(old) + len(new) <= MAX_WORDS:
        left, right = _by_word(old, new)
    else:
        left, right = plain(old).split("\n"), plain(new).split("\n")
    lines = [_line("del", "-", Markup(text)) for text in left]
    return lines + [_line("add", "+", Markup(text)) for text in right]


def _by_word(old: str, new: str) -> tuple[list[Markup], list[Markup]]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if matcher.quick_ratio() < 0.4:
        return plain(old).split("\n"), plain(new).split("\n")
    left, right = Markup(""), Markup("")
    for tag, a, b, c, d in matcher.get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        left += plain(gone) if tag == "equal" else _marked("del", gone)
        right += plain(come) if tag == "equal" else _marked("ins", come)
    return left.split("\n"), right.split("\n")


def _marked(tag: str, text: str) -> Markup:
    """Return words in a mark, closed and reopened at line ends."""
    lines = (
        Markup(f"<{tag}>{{}}</{tag}>").format(plain(part)) if part else Markup("")
        for part in text.split("\n")
    )
    return Markup("\n").join(lines)


def _line(kind: str, sign: str, html: Markup) -> Markup:
    return Markup('<span class="{}"><i>{}</i>{}\n</span>').format(kind, sign, html)
