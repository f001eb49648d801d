"""Full-text search over what was said and done, in an export."""

import json
import re
import sqlite3
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
PROJECTS = 50  # maximum number of projects that are looked up by their marks
SESSIONS = 1000  # maximum number of sessions whose blocks are listed
ACCOUNT = "account"
"""An operator whose condition depends on the rules of the accounts."""
# Operators on sessions `s`, and their conditions.
_OF_SESSIONS = {
    "project": """s.project_key in (select project_key from dim_projects
        where project_key like {0} escape '!' or project_name like {0} escape '!'
        or project_path like {0} escape '!')""",
    "model": "s.models like {0} escape '!'",
    "file": """s.session_id in (select session_id from fct_file_operations
        where file_path like {0} escape '!')""",
}
# Operators on calls, and the names that each can have.
_OF_CALLS = {
    "tool": "select tool_name as name from dim_tools",
    "error": """select error_kind as name from agg_call_quarters
        where error_kind is not null union select 'other'""",
}
_OF_TIME = ("before", "after")
OPERATORS = (*_OF_SESSIONS, *_OF_CALLS, *_OF_TIME)
_TEXT = """case when d.block_kind = 'tool_use'
    then d.tool_name || ' ' || d.tool_input else d.text end"""


class Operator(NamedTuple):
    """A condition such as `tool:Bash`, or its opposite.

    Attributes:
        name: One of `OPERATORS`, or `ACCOUNT`.
        value: Part of a name, or the number of the first block of a day.
        is_negative: Whether hits must not fulfil it.
    """

    name: str
    value: str | int
    is_negative: bool = False


class Within(NamedTuple):
    """The blocks to search.

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


class Marks(NamedTuple):
    """Marks of blocks in the full-text index; see the view `search_texts`.

    Attributes:
        names: A block needs any of them.
        is_negative: Whether it must have none of them instead.
    """

    names: tuple[str, ...]
    is_negative: bool = False


class Scope(NamedTuple):
    """The blocks to search in one database, as its index finds them.

    Attributes:
        marks: The marks that a block needs, and those that it must not have.
        low: The lowest number of a block; None for any.
        high: The number after the highest one.
        sessions: Ids of sessions; None for all.
        is_without: Whether all other sessions are searched instead.
    """

    marks: tuple[Marks, ...] = ()
    low: int | None = None
    high: int | None = None
    sessions: tuple[str, ...] | None = None
    is_without: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no block can be found."""
        is_nowhere = self.sessions == () and not self.is_without
        return is_nowhere or any(not (m.names or m.is_negative) for m in self.marks)


NOWHERE = Scope(sessions=())


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


def scope(connection: sqlite3.Connection, within: Within) -> Scope:
    """Return the blocks to search, for several searches in one database."""
    lows, highs = [], []
    if within.low or within.high:
        lows.append(first_number(within.low))
    if within.high:
        highs.append(first_number(within.high))
    marks = []
    for one in within.operators:
        if one.name in _OF_TIME:
            is_low = (one.name == "after") is not one.is_negative
            (lows if is_low else highs).append(int(one.value))
        elif one.name in _OF_CALLS:
            marks.append(_of_call(connection, one))
    found = _of_sessions(connection, within)
    return found._replace(
        marks=(*marks, *found.marks),
        low=max(lows, default=None),
        high=min(highs, default=None),
    )


def _of_call(connection: sqlite3.Connection, one: Operator) -> Marks:
    """Return the marks of the tools, or of the kinds of failures, that are meant."""
    if (one.name, one.value) == ("error", "%any%"):
        return Marks(("e",), one.is_negative)
    sql = f"""select distinct name from ({_OF_CALLS[one.name]})
    where name like ? escape '!'"""
    names = connection.execute(sql, (one.value,))
    return Marks(tuple(_mark(one.name[0], row[0]) for row in names), one.is_negative)


def _of_sessions(connection: sqlite3.Connection, within: Within) -> Scope:
    """Return the projects, or else the sessions, that fulfil all conditions on these.

    Of those that do and those that do not, name the fewer. Sessions get the marks of
    their projects as well, since the index skips the others faster.
    """
    conditions, values = _conditions(within)
    if not conditions:
        return Scope()
    of_all = f"coalesce({' and '.join(conditions)}, 0)"
    rows = connection.execute(
        f"""select project_key, min(is_in), max(is_in), sum(is_in), count(*) from (
            select coalesce(s.project_key, '') as project_key, {of_all} as is_in
            from dim_sessions s) group by 1""",
        values,
    ).fetchall()
    marks = marks_of_projects((row[0], row[2]) for row in rows)
    if marks and all(row[1] == row[2] for row in rows):
        return Scope(marks)
    is_without = sum(row[3] for row in rows) * 2 > sum(row[4] for row in rows)
    sql = f"select s.session_id from dim_sessions s where {of_all} <> :without"
    found = connection.execute(sql, values | {"without": is_without})
    return Scope(marks, sessions=tuple(row[0] for row in found), is_without=is_without)


def _conditions(within: Within) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions on sessions `s`, and their values."""
    rules = within.rules
    projects = {f"project{n}": key for n, key in enumerate(within.projects)}
    pairs = (
        (projects, f"s.project_key in ({', '.join(f':{name}' for name in projects)})"),
        (within.host, "s.host = :host"),
        (within.branch, "s.git_branch = :branch"),
        (within.model, "',' || replace(s.models, ', ', ',') || ',' like :model"),
        (
            within.sessions is not None,
            "s.session_id in (select value from json_each(:sessions))",
        ),
        (within.account, within.of_account("s")),
    )
    values: dict[str, Any] = {
        "host": within.host, "branch": within.branch, "model": f"%{within.model}%",
        "sessions": json.dumps(within.sessions),
    }  # fmt: skip
    conditions = [sql for wanted, sql in pairs if wanted]
    for number, one in enumerate(within.operators):
        if one.name == ACCOUNT:
            sql = rules.condition(rules.named(str(one.value), is_part=True), "s")
        elif one.name in _OF_SESSIONS:
            sql = _OF_SESSIONS[one.name].format(f":operator{number}")
            values[f"operator{number}"] = one.value
        else:
            continue
        conditions.append(f"not coalesce({sql}, 0)" if one.is_negative else sql)
    return conditions, values | projects


def marks_of_projects(projects: Iterable[tuple[str, bool]]) -> tuple[Marks, ...]:
    """Return the marks of the blocks of some projects.

    Name these or all others, the fewer of both; name none if both are too many.

    Args:
        projects: The key of each project, and whether it is one of them.
    """
    named: dict[bool, list[str]] = {True: [], False: []}
    for key, is_in in projects:
        named[bool(is_in)].append(_mark("p", key))
    fewer = len(named[True]) <= len(named[False])
    found = Marks(tuple(named[fewer]), not fewer)
    return (found,) if len(found.names) <= PROJECTS else ()


def _mark(letter: str, name: str) -> str:
    """Return a mark as the view `search_texts` writes it."""
    return letter + name.encode("utf-8", "surrogatepass").hex()


def _source(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    where: Scope,
    below: int | None = None,
    tables: str = "",
) -> tuple[str, dict[str, Any]]:
    """Return the tables and conditions of a search in the index `f`, and its values."""
    conditions = ["search_fts match :match"]
    pairs = (
        (where.low, "f.rowid >= :low"), (where.high, "f.rowid < :high"),
        (below, "f.rowid < :below"),
    )  # fmt: skip
    conditions += [sql for value, sql in pairs if value is not None]
    found = tables or searched(connection)
    if where.sessions is not None:
        chosen = "(select value from json_each(:sessions))"
        sign = "not in" if where.is_without else "in"
        if len(where.sessions) <= SESSIONS:
            # The plus makes SQLite read the hits in their order, and look each up in
            # a set, which is faster than asking the index about each block.
            conditions.append(
                f"""+f.rowid {sign} (select b.search_id from thread_blocks b
                where b.session_id in {chosen})"""
            )
        else:
            if "thread_blocks" not in found:
                found += " join thread_blocks d on d.search_id = f.rowid"
            conditions.append(f"d.session_id {sign} {chosen}")
    marks = (*where.marks, *limit_marks(connection))
    values = {
        "match": expression(match, kinds, marks), "low": where.low,
        "high": where.high, "below": below, "sessions": json.dumps(where.sessions),
    }  # fmt: skip
    return f"from {found} where {' and '.join(conditions)}", values


def expression(match: str, kinds: Sequence[str], marks: Sequence[Marks] = ()) -> str:
    """Return a query of the index for words, kinds and marks."""
    # Without words and marks, find the blocks of all kinds.
    kinds = kinds or ([] if match else list(KINDS))
    names = [each for kind in kinds for each in (kind, *_MORE.get(kind, ()))]
    of_kind = tuple(f"k{name.replace('_', '')}" for name in names)
    needed = [in_text(match)] if match else []
    needed += [
        _any_of(one.names)
        for one in (Marks(of_kind), *marks)
        if one.names and not one.is_negative
    ]
    refused = [name for one in marks if one.is_negative for name in one.names]
    found = f"({' AND '.join(needed)})"
    return f"{found} NOT {_any_of(refused)}" if refused else found


def in_text(match: str) -> str:
    """Return a query of the index that finds words in texts, and not in marks."""
    return f"text : ({match})"


def _any_of(marks: Sequence[str]) -> str:
    return f"marks : ({' OR '.join(marks)})"


def hits(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    where: Scope,
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
        where: The blocks to search.
        limit: Maximum number of hits.
        best: Whether the best come first.
        offset: Number of hits to leave out.
        words: Of the `Question`; an excerpt is around the rarest of them.
    """
    if where.is_empty:
        return []
    if best and match:
        numbers = _best(connection, match, kinds, where, offset + limit)[offset:]
    else:
        source, values = _source(connection, match, kinds, where)
        # Blocks are numbered chronologically, so the newest come first for free.
        found = connection.execute(
            f"""select f.rowid {source} order by f.rowid desc
            limit :limit offset :offset""",
            values | {"limit": limit, "offset": offset},
        )
        numbers = [row[0] for row in found]
    return described(connection, match, words, numbers)


def _best(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    where: Scope,
    number: int,
) -> list[int]:
    """Return the numbers of the best hits.

    Those of a limited connection are looked up last, since only a few are needed.
    """
    source, values = _source(connection, match, kinds, where, tables="search_fts f")
    is_limited = _is_limited(connection)
    is_common = is_limited or _floor(connection, in_text(match)) is not None
    floor = _floor(connection, values["match"]) if is_common else None
    above = "" if floor is None else "and f.rowid > :floor"
    # The rank is that of the words alone: for that of a mark, SQLite would count
    # all blocks that have it. The plus makes it rank only what is in the set.
    found = connection.execute(
        f"""select f.rowid from search_fts f where search_fts match :words {above}
        and +f.rowid in (select f.rowid {source} {above})
        order by +f.rank limit :number""",
        values
        | {
            "floor": floor, "words": in_text(match),
            "number": -1 if is_limited else number,
        },
    )  # fmt: skip
    if is_limited:
        return _readable(connection, found, number)
    return [row[0] for row in found]


def _readable(
    connection: sqlite3.Connection, found: sqlite3.Cursor, number: int
) -> list[int]:
    """Return the first hits that a limited connection has, in their order."""
    first: list[int] = []
    while len(first) < number and (some := [row[0] for row in found.fetchmany(CHUNK)]):
        marks = ", ".join("?" * len(some))
        sql = f"select search_id from thread_blocks where search_id in ({marks})"
        known = {row[0] for row in connection.execute(sql, some)}
        first += [one for one in some if one in known]
    return first[:number]


def texts(
    connection: sqlite3.Connection,
    match: str,
    kinds: Sequence[str],
    where: Scope,
    below: int | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of all blocks of a search, newest first.

    Args:
        connection: Of the export.
        match: Of a `Question`; "" for all blocks.
        kinds: Keys of `KINDS`.
        where: The blocks to search.
        below: Leave out blocks with this number and higher ones.
    """
    if where.is_empty:
        return
    source, values = _source(connection, match, kinds, where, below)
    # The texts are read in a second query, so that sorting does not copy them.
    found = connection.execute(f"select f.rowid {source} order by f.rowid desc", values)
    while numbers := [row[0] for row in found.fetchmany(CHUNK)]:
        marks = ", ".join("?" * len(numbers))
        rows = connection.execute(
            f"""select d.search_id, {_TEXT} from thread_blocks d
            where d.search_id in ({marks}) order by d.search_id desc""",
            numbers,
        )
        yield from ((number, text or "") for number, text in rows)


def kinds_of(
    connection: sqlite3.Connection, match: str, where: Scope
) -> tuple[dict[str, int], bool]:
    """Count the newest hits by kind, whatever kinds were chosen.

    Returns:
        The hits by key of `KINDS`, and whether there are more.
    """
    if where.is_empty:
        return {}, False
    names = {more: kind for kind, each in _MORE.items() for more in each}
    source, values = _source(connection, match, (), where)
    rows = connection.execute(
        f"""select b.block_kind, count(*) from (
            select f.rowid as number {source} order by f.rowid desc limit :most)
        join thread_blocks b on b.search_id = number group by 1""",
        values | {"most": OFFERED},
    )
    found: Counter[str] = Counter()
    for kind, number in rows:
        found[names.get(kind, kind)] += number
    return {
        kind: found[kind] for kind in KINDS if found[kind]
    }, found.total() >= OFFERED


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
            (OPEN, CLOSE, in_text(match), min(found), max(found), *found),
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


def searched(connection: sqlite3.Connection) -> str:
    """Return the hits `f` of the index, as the tables of a query.

    A connection may be limited by temporary views; the index knows nothing of them, so
    a hit must be in the view of the blocks as well.
    """
    if not _is_limited(connection):
        return "search_fts f"
    return "search_fts f cross join thread_blocks d on d.search_id = f.rowid"


def limit_marks(connection: sqlite3.Connection) -> tuple[Marks, ...]:
    """Return marks that all blocks of a limited connection have.

    So the index skips most other blocks. What decides is the view of the blocks.
    """
    if not _is_limited(connection):
        return ()
    rows = connection.execute("select name, is_negative from readable_marks").fetchall()
    names = tuple(row[0] for row in rows)
    return (Marks(names, bool(rows[0][1])),) if rows else ()


def _is_limited(connection: sqlite3.Connection) -> bool:
    views = "select 1 from sqlite_temp_master where name = 'thread_blocks'"
    return connection.execute(views).fetchone() is not None


def rarest_first(connection: sqlite3.Connection, words: Sequence[str]) -> list[str]:
    """Return folded words, those with the fewest hits first."""
    source, marks = searched(connection), limit_marks(connection)

    def size(word: str) -> int:
        (number,) = connection.execute(
            f"""select count(*) from (select 1 from {source}
            where search_fts match ? limit ?)""",
            (expression(word, (), marks), COUNTED),
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
        f"""select f.rowid from {searched(connection)} where search_fts match ?
        order by f.rowid desc limit 1 offset ?""",
        (match, RANKED),
    ).fetchone()
    return row[0] if row else None
