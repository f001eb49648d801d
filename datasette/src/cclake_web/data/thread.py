"""Read the thread of a session: its outline, its pages, and sums of its turns."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cclake_web.data.blocks import Entry, entry_of, fill

PROMPT_CHARS = 2000  # of a prompt, where only its beginning is shown
MOST_TASKS = 60  # maximum number of agents in a list with their tasks
PAGE = 200  # entries of a page, which extends to the end of its turn
LONGEST_TURN = 300  # entries of a turn; a longer one is cut before an answer
HEAVY = 80_000  # characters of visible text from which on a page may end early


class Mark(NamedTuple):
    """An entry in the outline, with what pages and the strip need."""

    position: int
    turn: int
    kind: str
    key: str
    said_at: str
    message_id: str
    chars: int = 0  # of visible text


@dataclass(frozen=True)
class Page:
    """A run of entries, from `first` to `last` position."""

    number: int
    first: int
    last: int
    turns: tuple[int, int]


@dataclass
class Sums:
    """Sums of tokens, money, calls and errors."""

    responses: int = 0
    final: int = 0
    unpriced: int = 0
    uncounted: int = 0
    cost: float = 0.0
    input: int = 0
    output: int = 0
    written: int = 0
    read: int = 0
    calls: int = 0
    errors: int = 0
    models: set[str] = field(default_factory=set)

    @property
    def known_cost(self) -> float | None:
        """The dollars, or None if no response has a known cost."""
        return self.cost if self.cost or not self.unpriced + self.uncounted else None


def outline(
    connection: sqlite3.Connection, session_id: str, agent_id: str | None = None
) -> list[Mark]:
    """Return all entries of the main thread, or of one agent, in order."""
    rows = connection.execute(
        """select e.position, coalesce(e.turn_number, 0),
        coalesce(e.message_kind, 'other'), e.entry_key, coalesce(e.said_at, ''),
        coalesce(e.message_id, ''), case when e.message_kind in
            ('prompt', 'agent_prompt', 'answer', 'queued_prompt', 'unsent_prompt')
            then coalesce(m.text_chars, 0) else 0 end
        from thread_entries e left join fct_messages m
            on m.session_id = e.owner_session_id and m.entry_key = e.entry_key
        where e.session_id = ? and e.agent_id is ? order by e.position""",
        (session_id, agent_id),
    )
    return list(map(Mark._make, rows))


def pages(marks: Sequence[Mark]) -> list[Page]:
    """Cut a thread: at prompts, and inside a very long turn before an answer.

    A page with much text ends earlier.

    A result is shown with its call, so a cut between them does no harm.
    """
    found: list[Page] = []
    start = chars = 0
    for index, mark in enumerate(marks):
        size, is_heavy = index - start, chars >= HEAVY
        new_turn = index > 0 and mark.turn != marks[index - 1].turn
        too_long = (is_heavy or size >= LONGEST_TURN) and mark.kind == "answer"
        if (new_turn and (is_heavy or size >= PAGE)) or too_long:
            found.append(_page(len(found) + 1, marks[start:index]))
            start, chars = index, 0
        chars += mark.chars
    if marks:
        found.append(_page(len(found) + 1, marks[start:]))
    return found


def _page(number: int, marks: Sequence[Mark]) -> Page:
    first, last = marks[0], marks[-1]
    return Page(number, first.position, last.position, (first.turn, last.turn))


_ENTRIES = """select e.*, m.subtype, m.type as record_type from thread_entries e
left join fct_messages m
    on m.session_id = e.owner_session_id and m.entry_key = e.entry_key
where e.session_id = ? and"""


def entries(
    connection: sqlite3.Connection,
    session_id: str,
    page: Page,
    agent_id: str | None = None,
    reveal: bool = False,
) -> list[Entry]:
    """Return the entries of a page with their blocks."""
    rows = connection.execute(
        f"{_ENTRIES} e.agent_id is ? and e.position between ? and ?"
        " order by e.position",
        (session_id, agent_id, page.first, page.last),
    )
    found = [entry_of(row) for row in rows]
    fill(connection, found, reveal)
    return found


def entry(
    connection: sqlite3.Connection, session_id: str, key: str, reveal: bool = False
) -> Entry | None:
    """Return one entry of a session with its blocks, or None."""
    row = connection.execute(
        f"{_ENTRIES} e.entry_key = ? limit 1", (session_id, key)
    ).fetchone()
    if row is None:
        return None
    found = entry_of(row)
    fill(connection, [found], reveal)
    return found


def prompts(connection: sqlite3.Connection, session_id: str) -> dict[str, str]:
    """Return the beginning of each prompt of the main thread, by entry."""
    rows = connection.execute(
        f"""select e.entry_key, substr(b.text, 1, {PROMPT_CHARS}) from thread_entries e
        join thread_blocks b
            on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
        where e.session_id = ? and e.agent_id is null and e.message_kind = 'prompt'
        and b.block_kind = 'text' order by e.position, b.block_no desc""",
        (session_id,),
    )
    return {key: text or "" for key, text in rows}


def turn_sums(
    connection: sqlite3.Connection, session_id: str, first: int, last: int
) -> dict[int, Sums]:
    """Return sums of each turn in a range, subagents included."""
    rows = connection.execute(
        """select e.turn_number as turn, r.* from (
            select distinct coalesce(turn_number, 0) as turn_number, message_id
            from thread_entries where session_id = :id and message_id is not null
            and coalesce(turn_number, 0) between :first and :last
        ) e join fct_api_responses r on r.message_id = e.message_id""",
        {"id": session_id, "first": first, "last": last},
    )
    found: dict[int, Sums] = {}
    for row in rows.fetchall():
        sums = found.setdefault(row["turn"], Sums())
        add(sums, row)
        sums.models |= _asked(connection, row)
    return found


def pull_requests(connection: sqlite3.Connection, session_id: str) -> list[str]:
    """Return the pull requests of a session: repository and address of each."""
    rows = connection.execute(
        """select b.text from thread_entries e join fct_messages m
            on m.session_id = e.owner_session_id and m.entry_key = e.entry_key
            and m.type = 'pr-link'
        join thread_blocks b
            on b.session_id = e.owner_session_id and b.entry_key = e.entry_key
        where e.session_id = ? and e.message_kind = 'label' order by e.position""",
        (session_id,),
    )
    return list(dict.fromkeys(text for (text,) in rows if text))


def tasks(
    connection: sqlite3.Connection, session_id: str, agents: Sequence[str]
) -> dict[str, str]:
    """Return the task of each agent: the first text of its thread."""
    sql = """select b.text from thread_entries e
    join thread_blocks b on b.session_id = e.owner_session_id
        and b.entry_key = e.entry_key and b.block_kind = 'text'
    where e.session_id = ? and e.agent_id = ? order by e.position, b.block_no limit 1"""
    found = {}
    for agent in agents[:MOST_TASKS]:
        row = connection.execute(sql, (session_id, agent)).fetchone()
        found[agent] = (row[0] if row else None) or ""
    return found


def about_agents(
    connection: sqlite3.Connection, session_id: str
) -> dict[str, tuple[str, str]]:
    """Return type and description of each agent of a session that has one of them."""
    rows = connection.execute(
        """select agent_id, coalesce(agent_type, ''), coalesce(description, '')
        from dim_agents where session_id = ?
        and coalesce(agent_type, description) is not null""",
        (session_id,),
    )
    return {agent: (kind, what) for agent, kind, what in rows}


def agents(connection: sqlite3.Connection, session_id: str) -> dict[str, int]:
    """Return the agents of a session and how many entries each has, oldest first."""
    rows = connection.execute(
        """select agent_id, count(*) from thread_entries where session_id = ?
        and agent_id is not null group by 1 order by min(position)""",
        (session_id,),
    )
    return dict(map(tuple, rows))


def agent_sums(connection: sqlite3.Connection, session_id: str) -> dict[str, Sums]:
    """Return sums of each agent of a session, without the agents that it started."""
    found: dict[str, Sums] = {}
    rows = connection.execute(
        """select e.agent_id as agent, r.* from (
            select distinct agent_id, message_id from thread_entries
            where session_id = ? and agent_id is not null and message_id is not null
        ) e join fct_api_responses r on r.message_id = e.message_id""",
        (session_id,),
    )
    for row in rows.fetchall():
        sums = found.setdefault(row["agent"], Sums())
        add(sums, row)
        sums.models |= _asked(connection, row)
    rows = connection.execute(
        """select agent_id, count(*), sum(coalesce(is_error, 0)) from fct_tool_calls
        where session_id = ? and agent_id is not null group by 1""",
        (session_id,),
    )
    for agent, calls, errors in rows:
        sums = found.setdefault(agent, Sums())
        sums.calls, sums.errors = calls, errors or 0
    return found


def _asked(connection: sqlite3.Connection, row: sqlite3.Row) -> set[str]:
    """Return the models of the other items of a response, such as advisors."""
    if row["price_parts"] < 2:
        return set()
    sql = "select distinct model_name from fct_response_items where response_key = ?"
    return {name for (name,) in connection.execute(sql, (row["response_key"],))}


def add(sums: Sums, row: sqlite3.Row) -> None:
    """Add one row of `fct_api_responses`."""
    sums.responses += 1
    sums.final += bool(row["usage_final"])
    sums.uncounted += row["input_tokens"] is None
    sums.unpriced += not row["is_priced"] and row["input_tokens"] is not None
    sums.cost += row["cost_usd"] or 0.0
    sums.input += row["input_tokens"] or 0
    sums.output += row["output_tokens"] or 0
    sums.written += row["cache_write_tokens"] or 0
    sums.read += row["cache_read_tokens"] or 0
    if row["model_name"]:
        sums.models.add(row["model_name"])
