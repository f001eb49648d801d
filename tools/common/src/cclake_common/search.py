"""Full-text search over what was said and done, in an export."""

import re
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cclake_common.times import moment
from cclake_common.words import ALONE, text_of, words_of

SECOND = 2**31  # numbers of blocks
RANKED = 20_000  # of the hits of a common word the newest are ranked
KINDS = {
    "text": "Prompts and answers",
    "thinking": "Thinking",
    "tool_use": "Tool input",
    "tool_result": "Tool output",
    "context": "Context",
}
# Further kinds that a kind includes.
_MORE = {"text": ("document", "compaction"), "context": ("other",)}
OPEN, CLOSE = "\ue000", "\ue001"  # marks of a hit; no text keeps them
_TOKEN = re.compile(r'"([^"]*)"|(\S+)')
_WORDS = re.compile(r"[^\W_]")
# Words that a plain question has and its answer need not have.
_QUESTION_WORDS = """
    a an and are as at be been but by can could did do does for from had has
    have how i in is it its me my not of on or our should so that the their them
    then there these they this to us was we were what when where which who why
    will with would you your
    """
_STOP = frozenset(_QUESTION_WORDS.split())


AROUND = 120  # characters beside a hit where secrets are masked


@dataclass(frozen=True)
class Within:
    """Which blocks to search.

    Attributes:
        projects: Keys of projects, any of which will do; empty for all.
        model: Part of the models of a session, each between commas.
        low: The first time, as the export writes it.
        high: The time after the last one.
    """

    projects: tuple[str, ...] = ()
    host: str = ""
    branch: str = ""
    model: str = ""
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Question:
    """A search as FTS5 understands it; `match` is "" when there is nothing to find."""

    match: str
    loose: str


def question(text: str) -> Question:
    r"""Any text as a query that can't be an error.

    Words must all occur, `"several words"` as they stand, and `word*` is a
    beginning. `loose` finds any of the words that matter instead.
    """
    terms: list[str] = []
    words: list[str] = []
    for phrase, word in _TOKEN.findall(text.replace("\0", " ")[:500]):
        plain = (phrase or word).replace('"', " ").strip()
        if not (_WORDS.search(plain) or ALONE.search(plain)):
            continue
        prefix = word.endswith("*") and len(plain) > 2
        term = f'"{words_of(plain.rstrip("*"))}"' + ("*" if prefix else "")
        terms.append(term)
        if plain.lower().strip("?!.,;:") not in _STOP:
            words.append(term)
    return Question(" ".join(terms[:24]), " OR ".join((words or terms)[:24]))


def hits(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    within: Within,
    *,
    limit: int,
    best: bool = False,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return hits with their details, newest or best first.

    The best of a very common word are the best of its newest hits.

    Args:
        connection: Of the export; its rows must have names (`sqlite3.Row`).
        match: Of a `Question`.
        kinds: Keys of `KINDS`.
        within: Which blocks to search.
        limit: Maximum number of hits.
        best: Whether the best come first.
        offset: Number of hits to leave out.
    """
    conditions, values = _where(within)
    wanted = [each for kind in kinds for each in (kind, *_MORE.get(kind, ()))]
    names = [f":kind{number}" for number, _ in enumerate(wanted)]
    values |= {f"kind{number}": kind for number, kind in enumerate(wanted)}
    conditions.append(f"d.block_kind in ({', '.join(names)})")
    floor = _floor(connection, match) if best else None
    if floor is not None:
        conditions.append("f.rowid > :floor")
        values["floor"] = floor
    # Blocks are numbered in the order of time, so the newest come first for free.
    order = "f.rank" if best else "f.rowid desc"
    # The view joins the messages, which not every question needs.
    source = "search_documents" if within.projects or within.host else "thread_blocks"
    sql = f"""select f.rowid from search_fts f
    join {source} d on d.search_id = f.rowid
    {_JOIN if within.branch or within.model else ""}
    where search_fts match :match and {" and ".join(conditions)}
    order by {order} limit :limit offset :offset"""
    values |= {"match": match, "limit": limit, "offset": offset}
    found = connection.execute(sql, values)
    return _details(connection, match, [row[0] for row in found])


def _details(
    connection: sqlite3.Connection, match: str, found: list[int]
) -> list[dict[str, Any]]:
    """Return what is shown of hits, in their order.

    A question of its own: joined to the one that finds them, SQLite reads every
    hit of the words instead of these.
    """
    marks = ", ".join("?" * len(found))
    snippets = connection.execute(
        f"""select rowid, snippet(search_fts, 0, ?, ?, '…', 34) from search_fts
        where search_fts match ? and rowid in ({marks})""",
        (OPEN, CLOSE, match, *found),
    )
    texts = {row[0]: row[1] for row in snippets}
    rows = connection.execute(
        f"""select d.search_id, d.session_id, d.entry_key, d.text,
            d.block_kind, d.said_at,
            d.host, d.project_key, p.project_name, s.title, s.first_prompt,
            d.message_kind
        from search_documents d
        left join dim_sessions s on s.session_id = d.session_id
        left join dim_projects p on p.project_key = d.project_key
        where d.search_id in ({marks})""",
        found,
    )
    by_id = {row["search_id"]: dict(row) for row in rows}
    return [
        by_id[one] | {"snippet": whole_marks(text_of(texts.get(one, "")))}
        for one in found
    ]


def first_number(time: str) -> int:
    """Return the least number that a block of this second has; without a time, 0.

    As gold makes it: times before 1970 and after 2106 are the end of what it can say.
    """
    at = moment(time)
    return min(max(int(at.timestamp()), 0), 2**32 - 1) * SECOND if at else 0


def whole_marks(snippet: str) -> str:
    """Return a snippet whose marks hold what belongs to their last letter.

    To the index, vowel signs and variants are not letters: its marks end before them.
    """
    begin, *others = snippet.split(CLOSE)
    for other in others:
        after = other
        while after and unicodedata.category(after[0]).startswith("M"):
            after = after[1:]
        begin += other[: len(other) - len(after)] + CLOSE + after
    return begin


def excerpt(snippet: str, text: str) -> str:
    """Return what is around the first hit that a masked text still has.

    Where it has none, that is the beginning of the text.

    Args:
        snippet: Of a hit, with its marks.
        text: The whole text, masked.
    """
    for part in snippet.split(OPEN)[1:]:
        word = part.partition(CLOSE)[0]
        before, found, after = text.partition(word)
        if found:
            start = "…" if len(before) > AROUND else ""
            return f"{start}{before[-AROUND:]}{OPEN}{word}{CLOSE}{after[:AROUND]}…"
    return text[: 2 * AROUND]


def _floor(connection: sqlite3.Connection, match: str) -> int | None:
    """Return where the newest `RANKED` hits begin, None when there are fewer."""
    row = connection.execute(
        """select rowid from search_fts where search_fts match ?
        order by rowid desc limit 1 offset ?""",
        (match, RANKED),
    ).fetchone()
    return row[0] if row else None


_JOIN = "join dim_sessions s on s.session_id = d.session_id"


def _where(within: Within) -> tuple[list[str], dict[str, Any]]:
    low, high = within.low, within.high
    projects = {f"project{n}": key for n, key in enumerate(within.projects)}
    pairs = (
        (projects, f"d.project_key in ({', '.join(f':{name}' for name in projects)})"),
        (within.host, "d.host = :host"),
        (within.branch, "s.git_branch = :branch"),
        (within.model, "',' || replace(s.models, ', ', ',') || ',' like :model"),
        (low or high, "f.rowid >= :low"),
        (high, "f.rowid < :high"),
    )
    values = {
        "host": within.host, "branch": within.branch, "model": f"%{within.model}%",
        "low": first_number(low) if low else SECOND, "high": first_number(high),
    }  # fmt: skip
    return [sql for wanted, sql in pairs if wanted], values | projects
