"""Show the beginning of long content, and fold the rest below it."""

import re
from collections.abc import Callable
from urllib.parse import quote

from markupsafe import Markup

from cclake_web.formatting import plural
from cclake_web.render.code import clip
from cclake_web.render.markdown import markdown

LINES, CHARS = 60, 8_000  # maximum of a text that is shown at once
LONGEST = 400_000  # maximum characters of a text that a page has
SLACK = 6  # lines that are not worth a fold
LONGEST_TEXT = 30_000  # characters of Markdown that are shown at once, and in its fold
_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
Draw = Callable[[int, int], Markup]


def beginning(text: str) -> int:
    """Return the number of characters of a text that are shown at once."""
    shown, left = clip(text, LINES, CHARS)
    is_short = left < CHARS // 10 and text.count("\n", len(shown)) <= SLACK
    return len(text) if is_short else len(shown)


def folded(text: str, draw: Draw) -> Markup:
    """Return a text as HTML: its beginning, and the rest in a fold.

    Args:
        text: The text.
        draw: Returns the HTML of a part of it, from one character to another.
    """
    end = beginning(text)
    if end == len(text):
        return draw(0, end)
    start = end + text.startswith("\n", end)
    return draw(0, end) + rest(amount(text, start), draw(start, len(text)))


def folded_markdown(text: str, line: str = "") -> Markup:
    """Return Markdown as HTML; of a very long one, the rest is folded.

    Args:
        text: The Markdown.
        line: The line of the log that has what no page shows.
    """
    shown, left = clip(text, lines=2000, chars=LONGEST_TEXT)
    if not left:
        return markdown(text)
    start = len(shown)
    following = text[start : start + LONGEST_TEXT]
    fences = _FENCE.findall(shown)
    if len(fences) % 2:  # the cut is within code
        following = f"{fences[-1]}\n{following.removeprefix(chr(10))}"
    what = amount(text[: start + LONGEST_TEXT], start)
    fold = rest(what, markdown(following))
    return markdown(shown) + fold + left_out(left - LONGEST_TEXT, line)


def amount(text: str, start: int) -> str:
    """Return how much of a text follows a place, in lines if there are some."""
    lines = text.count("\n", start, len(text.rstrip("\n")))
    if not lines:
        return plural(len(text) - start, "more character")
    return plural(lines + 1, "more line")


def rest(what: str, html: Markup) -> Markup:
    """Return the fold of what was cut, under the words that say how much it is."""
    made = Markup('<details class="rest-of"><summary>{}</summary>{}</details>')
    return made.format(what, html)


def left_out(number: int, line: str = "", what: str = "more character") -> Markup:
    """Return a note on what no page has, with a link to the whole line."""
    if number <= 0:
        return Markup("")
    made = Markup('<p class="cut">{}{}</p>')
    link = Markup(' <a class="to-line" href="/raw/{}">in the line of the log</a>')
    to_line = link.format(quote(line, safe="")) if line else ""
    return made.format(plural(number, what), to_line)
