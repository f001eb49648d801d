"""Find texts by a regular expression, newest first, within a time limit.

RE2 takes time that is linear in the text, whatever the expression, and at worst also
in the size of its program, which is limited.
"""

import re
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cclake_common.masking import mask
from cclake_common.search import (
    CLOSE,
    OPEN,
    SECOND,
    Scope,
    centred,
    described,
    texts,
)

SECONDS = 2.5  # time for one answer; the rest is another page
LONGEST = 500  # characters of an expression
MEMORY = 8 << 20  # bytes of a compiled expression
PROGRAM = 5_000  # steps of one: the worst of 40,000 took minutes for one text
MARKED = 200  # maximum number of matches that are marked in a text
_LINES = "(?m)"  # ^ and $ are the ends of lines
# The expression stands between quotes, or up to the next space.
_ASKED = re.compile(r'(?:^|(?<=\s))re:(?:"([^"]*)"|(\S+))')


@dataclass(frozen=True)
class Expression:
    """A regular expression, with what is wrong with it.

    Attributes:
        text: As it was written.
        find: Finds its matches in a text; None if it is not valid.
        error: The reason why it is not valid, else "".
    """

    text: str
    find: Any = None
    error: str = ""


@dataclass
class Found:
    """The hits of an expression on one page.

    Attributes:
        rows: The hits, as `hits` returns them.
        following: The number below which the search continues; None at the end.
        looked_to: Unix time of the oldest text that was looked at, if time ran out.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    following: int | None = None
    looked_to: int | None = None


def asked(words: str) -> tuple[Expression | None, str]:
    """Return the expression in a question, or None, and the rest of the question."""
    match = _ASKED.search(words)
    if match is None:
        return None, words
    rest = f"{words[: match.start()]} {words[match.end() :]}".strip()
    return expression(match[1] or match[2] or ""), rest


def expression(text: str) -> Expression:
    """Return an expression that ignores case; ^ and $ are the ends of lines."""
    # The extension module takes its time, and few pages need it.
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors, options.case_sensitive = MEMORY, False, False
    if not 0 < len(text) <= LONGEST:
        return Expression(text, error=f"it needs 1 to {LONGEST} characters")
    try:
        compiled = re2.compile(_LINES + text, options)
        if compiled.programsize > PROGRAM:
            return Expression(text, error="it is too long with its repetitions")
        return Expression(text, compiled.finditer)
    except (re2.error, ValueError) as error:
        reason = error.args[0] if error.args else "not valid"
        words = reason.decode() if isinstance(reason, bytes) else str(reason)
        return Expression(text, error=words.replace(_LINES, "", 1))


def find(
    connection: sqlite3.Connection,
    wanted: Expression,
    match: str,
    kinds: Sequence[str],
    where: Scope,
    *,
    limit: int,
    below: int | None = None,
    seconds: float = SECONDS,
) -> Found:
    """Return the newest texts that an expression matches.

    Text inside a masked secret is not found, since that would reveal it.

    Args:
        connection: Of the export, with rows by name.
        wanted: A valid expression.
        match: Further words, as of a `Question`; "" for none.
        kinds: Keys of `KINDS`.
        where: The blocks to search.
        limit: Maximum number of hits.
        below: Leave out blocks with this number and higher ones.
        seconds: Time to look; what is left is another page.
    """
    end = time.monotonic() + seconds
    found: dict[int, str] = {}
    answer = Found()
    for number, text in texts(connection, match, kinds, where, below):
        if _places(wanted, text) and (places := _places(wanted, shown := mask(text))):
            found[number] = centred(_marked(shown, places), ())
        if len(found) == limit:
            answer.following = number
            break
        if time.monotonic() > end:
            answer.following, answer.looked_to = number, max(number, 0) // SECOND
            break
    for row in described(connection, "", (), list(found)):
        answer.rows.append(row | {"snippet": found[row["search_id"]]})
    return answer


def _places(wanted: Expression, text: str) -> list[tuple[int, int]]:
    places = (one.span() for one in wanted.find(text))
    return list(islice(((a, b) for a, b in places if b > a), MARKED))


def _marked(text: str, places: Sequence[tuple[int, int]]) -> str:
    parts, last = [], 0
    for first, end in places:
        parts += [text[last:first], OPEN, text[first:end], CLOSE]
        last = end
    return "".join(parts) + text[last:]
