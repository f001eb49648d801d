"""Full-text search over what was said and done, in an export."""

import json
import re
import sqlite3
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from cclake_common.accounts import NO_RULES, Accounts
from cclake_common.times import day_start, moment
from cclake_common.words import alone, text_of, words_of

SECOND = 2**8  # numbers of blocks
RANKED = 20_000  # newest hits of a common word that are ranked
KINDS = {
    "text": "Prompts and answers",
    "thinking": "Thinking",
    "tool_use": "Tool input",
    "tool_result": "Tool output",
    "context": "Context",
}
# Further kinds that a kind includes.
_MORE = {"text": ("document", "compaction"), "context": ("other",)}
TOOLS = ("tool_use", "tool_result")  # the kinds of calls
OPEN, CLOSE = "\ue000", "\ue001"  # marks of a hit; no text keeps them
# A minus, the name of an operator, and a phrase or a word.
_TOKEN = re.compile(r'(-(?!-))?(?:([a-z]+):(?=\S))?(?:"([^"]*)"|(\S+))')
_MARKED = re.compile(f"{OPEN}(.*?){CLOSE}", re.DOTALL)
_WORDS = re.compile(r"[^\W_]")
# Words that a plain question has and its answer need not have.
_QUESTION_WORDS = """
    a an and are as at be been but by can could did do does for from had has
    have how i in is it its me my not of on or our should so that the their them
    then there these they this to us was we were what when where which who why
    will with would you your
    """
STOP = frozenset(_QUESTION_WORDS.split())


AROUND = 120  # characters beside a hit
CANDIDATES = 50  # places of a word that are looked at
SHORT = 20  # characters of a word that is left out rather than cut
COUNTED = 1000  # hits of a word, from which on it counts as common
OFFERED = 500  # newest hits whose kinds are counted
FLAG = re.compile("[A-Za-z0-9]{1,2}")  # after a minus it is a flag, as in `rm -rf`
CHUNK = 200  # texts that are read at once
# Operators, and the condition that each sets on a block `d`.
_CALL = """exists (select 1 from fct_tool_calls c
        where c.tool_use_id = d.tool_use_id and {})"""
OPERATORS = {
    "project": """m.project_key in (select project_key from dim_projects
        where project_key like {0} escape '!' or project_name like {0} escape '!'
        or project_path like {0} escape '!')""",
    "model": """d.session_id in (select session_id from dim_sessions
        where models like {0} escape '!')""",
    "tool": _CALL.format("c.tool_name like {0} escape '!'"),
    "file": """d.session_id in (select session_id from fct_file_operations
        where file_path like {0} escape '!')""",
    "before": "f.rowid < {0}",
    "after": "f.rowid >= {0}",
    "error": _CALL.format(
        "c.is_error and ({0} = '%any%'"
        " or coalesce(c.error_kind, 'other') like {0} escape '!')"
    ),
}
ACCOUNT = "account"
"""An operator whose condition depends on the rules of the accounts."""
_OF_CALLS = {"tool", "error"}
_TEXT = """case when d.block_kind = 'tool_use'
    then d.tool_name || ' ' || d.tool_input else d.text end"""
# A block with text: others are neither in the index nor in `search_documents`.
_SAYS = f"trim({_TEXT}) <> ''"


class Operator(NamedTuple):
    """A condition such as `tool:Bash`, or its opposite.

    Attributes:
        name: A key of `OPERATORS`, or `ACCOUNT`.
        value: Part of a name, or the number of the first block of a day.
        is_negative: Whether hits must not fulfil it.
    """

    name: str
    value: str | int
    is_negative: bool = False


class Within(NamedTuple):
    """The kinds of blocks to search.

    Attributes:
        projects: Keys of projects, any of which will do; empty for all.
        model: Part of the models of a session, each between commas.
        low: The first time, as the export writes it.
        high: The time after the last one.
        account: An account, or `none`; "" for all.
        rules: The rules of the accounts.
        operators: Further conditions, those of a question.
        sessions: The sessions to search; None for all.
    """

    projects: tuple[str, ...] = ()
    host: str = ""
    branch: str = ""
    model: str = ""
    low: str = ""
    high: str = ""
    account: str = ""
    rules: Accounts = NO_RULES
    operators: tuple[Operator, ...] = ()
    sessions: tuple[str, ...] | None = None

    def of_account(self, table: str) -> str:
        """Return the condition that a row of a table is of the account."""
        return self.rules.condition(self.rules.named(self.account), table)


class Question(NamedTuple):
    """A search as FTS5 understands it; `match` is "" without any word to find.

    Attributes:
        match: Finds all words.
        loose: Finds any of the words that matter.
        operators: Further conditions.
        words: The words and phrases of `match`, as it has them.
    """

    match: str
    loose: str
    operators: tuple[Operator, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.match or self.operators)

    @property
    def is_about_calls(self) -> bool:
        """Whether a condition on calls leaves only tool input and output."""
        return any(
            one.name in _OF_CALLS and not one.is_negative for one in self.operators
        )

    def kinds(self, kinds: Sequence[str]) -> list[str]:
        """Return the kinds to search: conditions on calls are about tools."""
        is_default = list(kinds) == ["text"]
        return list(TOOLS if self.is_about_calls and is_default else kinds)


def question(text: str, zone: tzinfo | None = None) -> Question:
    r"""Return any text as a query that is always valid.

    All words must occur. `"several words"` is a phrase, and `word*` a prefix.
    `-word` must not occur; after a minus, up to two letters are a flag, such as `-rf`,
    which is found as a word, and so is a minus in quotes. `project:`, `model:`,
    `tool:`, `file:`, `account:` and `error:` take part of a name (`error:any` is any
    failure), `before:` and `after:` a day.

    Args:
        text: What was asked.
        zone: The zone of days; None is that of this machine.
    """
    terms: list[str] = []
    words: list[str] = []
    without: list[str] = []
    operators: list[Operator] = []
    for minus, name, phrase, word in _TOKEN.findall(text.replace("\0", " ")[:500]):
        given = phrase or word
        if name and (one := _operator(name, given, bool(minus), zone)):
            operators.append(one)
            continue
        plain = (f"{name}:{given}" if name else given).replace('"', " ").strip()
        if not (_WORDS.search(plain) or alone().search(plain)):
            continue
        if minus and not name and FLAG.fullmatch(word):
            minus = ""
        prefix = word.endswith("*") and len(plain) > 2
        term = f'"{words_of(plain.rstrip("*"))}"' + ("*" if prefix else "")
        if minus:
            without.append(term)
            continue
        terms.append(term)
        if plain.lower().strip("?!.,;:") not in STOP:
            words.append(term)
    if not terms and not operators:  # only excluded words: search for these
        terms, words, without = without, without, []
    match, loose = " ".join(terms[:24]), " OR ".join((words or terms)[:24])
    if without and match:
        unwanted = f" NOT ({' OR '.join(without[:24])})"
        match, loose = f"({match}){unwanted}", f"({loose}){unwanted}"
    return Question(match, loose, tuple(operators[:12]), tuple(terms[:24]))


def _operator(
    name: str, value: str, is_negative: bool, zone: tzinfo | None
) -> Operator | None:
    """Return an operator; None for ordinary words."""
    if name == ACCOUNT and value:
        return Operator(name, value, is_negative)
    if name not in OPERATORS or not value:
        return None
    if name not in ("before", "after"):
        return Operator(name, f"%{_like(value)}%", is_negative)
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    start = first_number(day_start(day.isoformat(), zone))
    return Operator(name, start, is_negative) if start else None


def _like(text: str) -> str:
    """Return a text as a part of a LIKE pattern, with `!` as its escape."""
    return re.sub(r"([!%_])", r"!\1", text)


def hits(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    within: Within,
    *,
    limit: int,
    best: bool = False,
    offset: int = 0,
    words: Sequence[str] = (),
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
        words: Of the `Question`; an excerpt is around the rarest of them.
    """
    conditions, values = _where(within, kinds)
    conditions.append("search_fts match :match" if match else _SAYS)
    floor = _floor(connection, match) if best and match else None
    if floor is not None:
        conditions.append("f.rowid > :floor")
        values["floor"] = floor
    # Blocks are numbered chronologically, so the newest come first for free.
    order = "f.rank" if best and match else "f.rowid desc"
    sql = f"""select f.rowid {_source(match, within)}
    where {" and ".join(conditions)} order by {order} limit :limit offset :offset"""
    values |= {"match": match, "limit": limit, "offset": offset}
    found = connection.execute(_numbered(sql, match), values)
    return described(connection, match, words, [row[0] for row in found])


def texts(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    within: Within,
    below: int | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of all blocks of a search, newest first.

    Args:
        connection: Of the export.
        match: Of a `Question`; "" for all blocks.
        kinds: Keys of `KINDS`.
        within: Which blocks to search.
        below: Leave out blocks with this number and higher ones.
    """
    conditions, values = _where(within, kinds)
    conditions.append("search_fts match :match" if match else _SAYS)
    if below is not None:
        conditions.append("f.rowid < :below")
    sql = f"""select f.rowid {_source(match, within)}
    where {" and ".join(conditions)} order by f.rowid desc"""
    values |= {"match": match, "below": below}
    # The texts are read in a second query, so that sorting does not copy them.
    found = connection.execute(_numbered(sql, match), values)
    while numbers := [row[0] for row in found.fetchmany(CHUNK)]:
        marks = ", ".join("?" * len(numbers))
        rows = connection.execute(
            f"""select d.search_id, {_TEXT} from thread_blocks d
            where d.search_id in ({marks}) order by d.search_id desc""",
            numbers,
        )
        yield from ((number, text or "") for number, text in rows)


def kinds_of(
    connection: sqlite3.Connection, match: str, within: Within
) -> tuple[dict[str, int], bool]:
    """Count the newest hits by kind, whatever kinds were chosen.

    Returns:
        The hits by key of `KINDS`, and whether there are more.
    """
    conditions, values = _where(within)
    conditions.append("search_fts match :match" if match else _SAYS)
    names = {more: kind for kind, each in _MORE.items() for more in each}
    sql = f"""select block_kind, count(*) from (select d.block_kind
        {_source(match, within)} where {" and ".join(conditions)}
        order by f.rowid desc limit :most) group by 1"""
    values |= {"match": match, "most": OFFERED}
    rows = connection.execute(_numbered(sql, match), values)
    found: Counter[str] = Counter()
    for kind, number in rows:
        found[names.get(kind, kind)] += number
    return {
        kind: found[kind] for kind in KINDS if found[kind]
    }, found.total() >= OFFERED


def _numbered(sql: str, match: str) -> str:
    """Return a search that takes the numbers of blocks from the table it reads."""
    return sql if match else sql.replace("f.rowid", "d.search_id")


def _source(match: str, within: Within) -> str:
    """Return the tables of a search: blocks `d`, messages `m`, sessions `s`."""
    found = "from thread_blocks d"
    if match:
        found = "from search_fts f join thread_blocks d on d.search_id = f.rowid"
    is_wide = within.projects or within.host or within.account
    # Not every question needs the messages.
    if is_wide or any(one.name in ("project", ACCOUNT) for one in within.operators):
        found += " join fct_messages m"
        found += " on m.session_id = d.session_id and m.entry_key = d.entry_key"
    return found + (f" {_JOIN}" if within.branch or within.model else "")


def described(
    connection: sqlite3.Connection, match: str, words: Sequence[str], found: list[int]
) -> list[dict[str, Any]]:
    """Return what is shown of hits, in the order of their numbers.

    This is a separate query: joined to the search, SQLite would read every hit of
    the words.
    """
    marks = ", ".join("?" * len(found))
    texts: dict[int, str] = {}
    if match and found:
        # Within a range, since FTS5 would look up a prefix again for each number.
        marked = connection.execute(
            f"""select rowid, highlight(search_fts, 0, ?, ?) from search_fts
            where search_fts match ? and rowid between ? and ?
            and +rowid in ({marks})""",
            (OPEN, CLOSE, match, min(found), max(found), *found),
        )
        rare = rarest_first(connection, words)
        texts = {row[0]: centred(whole_marks(text_of(row[1])), rare) for row in marked}
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
        by_id[one]
        | {"snippet": texts.get(one) or centred(by_id[one]["text"] or "", ())}
        for one in found
    ]


def rarest_first(connection: sqlite3.Connection, words: Sequence[str]) -> list[str]:
    """Return folded words, those with the fewest hits first."""

    def size(word: str) -> int:
        (number,) = connection.execute(
            """select count(*) from (select 1 from search_fts where search_fts match ?
            limit ?)""",
            (word, COUNTED),
        ).fetchone()
        return int(number)

    ranked = sorted(words, key=size) if len(words) > 1 else words
    return [folded(text_of(word.rstrip("*").strip('"'))) for word in ranked]


@lru_cache(maxsize=10_000)
def folded(text: str) -> str:
    """Return a text without case and accents, as the index stores it."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one))


def centred(marked: str, rare: Sequence[str]) -> str:
    """Return what is around the rarest word of a text, with all marks in it.

    Of several places, choose the one with the most other words around it.

    Args:
        marked: The whole text, with its marks.
        rare: The words that were found, the rarest first, folded.
    """
    pieces = _MARKED.split(marked)  # alternating texts and marked words
    places: list[tuple[int, int, str]] = []  # begin, end and word
    at = 0
    for number, piece in enumerate(pieces):
        if number % 2:
            places.append((at, at + len(piece), folded(piece)))
        at += len(piece)
    text = "".join(pieces)
    middle = _middle(places, rare)
    begin = max(0, middle - AROUND)
    end = min(len(text), max(middle, begin) + AROUND)
    begin, end = _to_word(text, begin, end)
    shown, last = [], begin
    for first, after, _ in places:
        if first >= begin and after <= end:
            shown += [text[last:first], OPEN, text[first:after], CLOSE]
            last = after
    shown.append(text[last:end])
    whole = "".join(shown)
    return ("…" if begin else "") + whole + ("…" if end < len(text) else "")


def _middle(places: Sequence[tuple[int, int, str]], rare: Sequence[str]) -> int:
    for word in rare:
        mine = [one for one in places if one[2].startswith(word)]
        if mine:
            break
    else:
        mine = list(places)
    if not mine:
        return AROUND

    begins = [at for at, _, _ in places]

    def beside(place: tuple[int, int, str]) -> int:
        low = bisect_left(begins, place[0] - AROUND + 1)
        high = bisect_left(begins, place[0] + AROUND)
        return len({word for _, _, word in places[low:high]})

    best = max(mine[:CANDIDATES], key=beside)
    return (best[0] + best[1]) // 2


def _to_word(text: str, begin: int, end: int) -> tuple[int, int]:
    """Return the same range without short words that it cuts."""
    if begin and (space := text.find(" ", begin, begin + SHORT)) >= 0:
        begin = space + 1
    if end < len(text) and (space := text.rfind(" ", end - SHORT, end)) > begin:
        end = space
    return begin, end


def first_number(time: str) -> int:
    """Return the least number that a block of this second has; without a time, 0.

    As in gold, times before 1970 and after 2106 are clamped, and blocks without a time
    have numbers below 0.
    """
    at = moment(time)
    return min(max(int(at.timestamp()), 0), 2**32 - 1) * SECOND if at else 0


def whole_marks(snippet: str) -> str:
    """Return a snippet whose marks include what belongs to their last letter.

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

    If it has none, return the beginning of the text.

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
    """Return where the newest `RANKED` hits begin; None if there are fewer."""
    row = connection.execute(
        """select rowid from search_fts where search_fts match ?
        order by rowid desc limit 1 offset ?""",
        (match, RANKED),
    ).fetchone()
    return row[0] if row else None


_OF_SESSIONS = "d.session_id in (select value from json_each(:sessions))"
_JOIN = "join dim_sessions s on s.session_id = d.session_id"


def _where(
    within: Within, kinds: Sequence[str] = ()
) -> tuple[list[str], dict[str, Any]]:
    low, high = within.low, within.high
    projects = {f"project{n}": key for n, key in enumerate(within.projects)}
    pairs = (
        (projects, f"m.project_key in ({', '.join(f':{name}' for name in projects)})"),
        (within.host, "m.host = :host"),
        (within.branch, "s.git_branch = :branch"),
        (within.model, "',' || replace(s.models, ', ', ',') || ',' like :model"),
        (low or high, "f.rowid >= :low"),
        (high, "f.rowid < :high"),
        (within.sessions is not None, _OF_SESSIONS),
    )
    values = {
        "host": within.host, "branch": within.branch, "model": f"%{within.model}%",
        "low": first_number(low), "high": first_number(high),
        "sessions": json.dumps(within.sessions),
    }  # fmt: skip
    conditions = [sql for wanted, sql in pairs if wanted]
    rules = within.rules
    if within.account:
        conditions.append(within.of_account("m"))
    for number, one in enumerate(within.operators):
        if one.name == ACCOUNT:
            sql = rules.condition(rules.named(str(one.value), is_part=True), "m")
        else:
            sql = OPERATORS[one.name].format(f":operator{number}")
        conditions.append(f"not ({sql})" if one.is_negative else sql)
        values[f"operator{number}"] = one.value
    wanted = [each for kind in kinds for each in (kind, *_MORE.get(kind, ()))]
    values |= {f"kind{number}": kind for number, kind in enumerate(wanted)}
    if wanted:
        names = ", ".join(f":kind{number}" for number, _ in enumerate(wanted))
        conditions.append(f"d.block_kind in ({names})")
    return conditions, values | projects
