"""Find what was expensive: prompts, and the parts of a session."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cclake_archive.json_text import dumps
from cclake_common.times import moment

from cclake_web import formatting
from cclake_web.data.filters import Filters

PROMPTS = 10
MISSES = 5
TURNS = 20  # of a session
SMALL = 10_000  # tokens; a smaller miss is not worth reporting
SHORT_S, LONG_S = 5 * 60, 60 * 60  # how long the cache keeps what was written

Row = dict[str, Any]


def dearest(
    connection: sqlite3.Connection, filters: Filters, limit: int = PROMPTS
) -> list[Row]:
    """Return the most expensive turns of those that began within a selection.

    With a model, these are turns of sessions that used it.
    """
    low, high = filters.bounds()
    of_turns = ((low, "started_at >= :low"), (high, "started_at < :high"))
    of_sessions = (
        (filters.project, "s.project_key = :project"),
        (filters.branch, "s.git_branch = :branch"), (filters.host, "s.host = :host"),
        (filters.account, filters.of_account("s")),
        (filters.model, "instr(',' || replace(s.models, ', ', ',') || ',', :model)"),
        (filters.keeps, "s.session_id in (select value from json_each(:kept))"),
    )  # fmt: skip
    conditions = ["cost_usd > 0", "turn_number > 0"]
    conditions += [sql for wanted, sql in of_turns if wanted]
    if chosen := " and ".join(sql for wanted, sql in of_sessions if wanted):
        # The plus makes SQLite read the turns in their order, until there are enough,
        # and look the session of each up in a set.
        conditions.append(
            f"+session_id in (select s.session_id from dim_sessions s where {chosen})"
        )
    rows = connection.execute(
        f"""select t.*, s.title, s.first_prompt, s.project_key from (
            select * from agg_turn_metrics where {" and ".join(conditions)}
            order by cost_usd desc, started_at desc limit :limit
        ) t join dim_sessions s on s.session_id = t.session_id
        order by t.cost_usd desc, t.started_at desc""",
        {
            "low": low, "high": high, "limit": limit, "model": f",{filters.model},",
            "project": filters.project, "branch": filters.branch, "host": filters.host,
            "kept": dumps(filters.kept),
        },
    ).fetchall()  # fmt: skip
    return [
        dict(row) | _asked(connection, row["session_id"], row["turn_number"])
        for row in rows
    ]


def _asked(connection: sqlite3.Connection, session_id: str, turn: int) -> Row:
    """Return the entry and the words of the prompt that a turn begins with."""
    row = connection.execute(
        """select e.entry_key, e.owner_session_id from thread_entries e
        where e.session_id = ? and e.agent_id is null and e.turn_number = ?
        and e.message_kind = 'prompt' order by e.position limit 1""",
        (session_id, turn),
    ).fetchone()
    if row is None:
        return {"entry_key": "", "text": ""}
    words = connection.execute(
        """select substr(text, 1, 2000) from thread_blocks where session_id = ?
        and entry_key = ? and block_kind = 'text' order by block_no limit 1""",
        (row["owner_session_id"], row["entry_key"]),
    ).fetchone()
    return {"entry_key": row["entry_key"], "text": (words and words[0]) or ""}


@dataclass(frozen=True)
class Miss:
    """Context that was sent again although the cache had held it.

    Attributes:
        turn: The turn that it was sent in.
        entry_key: The entry of the response.
        agent_id: The subagent; "" for the main thread.
        cause: pause, model, compaction or other.
        tokens: How many tokens were sent again.
        seconds: The pause before.
        before: The model before.
        model: The model of the response.
        cost: What that cost more than reading them, in dollars; None without a price.
    """

    turn: int
    entry_key: str
    agent_id: str
    cause: str
    tokens: int
    seconds: float
    before: str
    model: str
    cost: float | None
    session_id: str = ""


@dataclass
class Costs:
    """The cost of a session, divided in several ways, the most expensive first."""

    turns: list[Row]
    models: list[Row]
    agents: list[Row]
    tools: list[Row]
    misses: list[Miss]
    missed: float
    cost: float
    responses: int


def costs(connection: sqlite3.Connection, session_id: str) -> Costs:
    """Return what the responses of a session cost, without copies of others."""
    responses = _responses(connection, session_id)
    found = misses(responses, _compactions(connection, session_id))
    return Costs(
        turns=_turns(connection, session_id),
        models=_models(connection, session_id),
        agents=_agents(responses),
        tools=_tools(connection, session_id, responses),
        misses=sorted(found, key=lambda one: -(one.cost or 0)),
        missed=sum(one.cost or 0 for one in found),
        cost=sum(row["cost_usd"] or 0 for row in responses),
        responses=len(responses),
    )


def _responses(connection: sqlite3.Connection, session_id: str) -> list[sqlite3.Row]:
    return connection.execute(
        """select session_id, message_id, agent_id, turn_number, entry_key, model_name,
        responded_at,
        input_tokens, cache_write_tokens, cache_write_1h_tokens,
        cache_read_tokens, input_usd, cache_write_5m_usd, cache_write_1h_usd,
        cache_read_price, price_multiplier, cost_usd
        from fct_api_responses where session_id = ? order by responded_at""",
        (session_id,),
    ).fetchall()


def dearest_misses(
    connection: sqlite3.Connection, filters: Filters, turns: Iterable[Row]
) -> list[Miss]:
    """Return the cache misses that cost most in the sessions of some turns.

    Args:
        connection: Of the export.
        filters: Misses on other days than its are left out.
        turns: As `dearest` returns them.
    """
    low, high = filters.bounds()
    found: list[Miss] = []
    for session_id in dict.fromkeys(turn["session_id"] for turn in turns):
        responses = _responses(connection, session_id)
        within = {
            row["entry_key"] or ""
            for row in responses
            if low <= (row["responded_at"] or "") and (
                not high or (row["responded_at"] or "") < high
            )
        }  # fmt: skip
        some = misses(responses, _compactions(connection, session_id))
        found += [one for one in some if one.entry_key in within and one.cost]
    return sorted(found, key=lambda one: -(one.cost or 0))[:MISSES]


def _turns(connection: sqlite3.Connection, session_id: str) -> list[Row]:
    rows = connection.execute(
        """select * from agg_turn_metrics where session_id = ? and api_responses > 0
        order by cost_usd desc limit ?""",
        (session_id, TURNS),
    )
    return [
        dict(row) | _asked(connection, session_id, row["turn_number"]) for row in rows
    ]


def _models(connection: sqlite3.Connection, session_id: str) -> list[Row]:
    rows = connection.execute(
        """select coalesce(model, '') as model, sum(model_responses) as responses,
        sum(total_tokens) as tokens, sum(cost_usd) as cost from agg_response_quarters
        where session_id = ? group by 1 order by 4 desc""",
        (session_id,),
    )
    return [dict(row) for row in rows]


def _agents(responses: Iterable[sqlite3.Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for row in responses:
        agent = row["agent_id"] or ""
        one = found.setdefault(agent, {"agent": agent, "responses": 0, "cost": 0.0})
        one["responses"] += 1
        one["cost"] += row["cost_usd"] or 0.0
    return sorted(found.values(), key=lambda one: -one["cost"])


def _tools(
    connection: sqlite3.Connection, session_id: str, responses: Iterable[sqlite3.Row]
) -> list[Row]:
    """Return the cost of the responses that call a tool, shared among their calls."""
    calls: dict[str, dict[str, int]] = defaultdict(dict)
    for message, tool, number in connection.execute(
        """select message_id, coalesce(tool_name, '?'), count(*) from fct_tool_calls
        where session_id = ? group by 1, 2""",
        (session_id,),
    ):
        calls[message][tool] = number
    found: dict[str, Row] = {}
    for row in responses:
        made: Mapping[str, int] = calls.pop(row["message_id"], {"": 1})
        for tool, number in made.items():
            one = found.setdefault(tool, {"tool": tool, "calls": 0, "cost": 0.0})
            one["calls"] += number
            one["cost"] += (row["cost_usd"] or 0.0) * number / sum(made.values())
    return sorted(found.values(), key=lambda one: -one["cost"])


def _compactions(connection: sqlite3.Connection, session_id: str) -> list[str]:
    rows = connection.execute(
        """select said_at from fct_messages where session_id = ? and said_at is not null
        and (subtype = 'compact_boundary' or message_kind = 'compact_summary')""",
        (session_id,),
    )
    return sorted(at for (at,) in rows)


def misses(responses: Sequence[sqlite3.Row], compactions: Sequence[str]) -> list[Miss]:
    """Return the responses for which much of the cached context was sent again.

    Args:
        responses: Of one session, in the order of time.
        compactions: When it was compacted.
    """
    found = []
    last: dict[str, sqlite3.Row] = {}
    for row in responses:
        agent = row["agent_id"] or ""
        before = last.get(agent)
        if row["input_tokens"] is None:
            continue
        last[agent] = row
        if before is not None and (one := _miss(before, row, compactions)):
            found.append(one)
    return found


def _miss(
    before: sqlite3.Row, row: sqlite3.Row, compactions: Sequence[str]
) -> Miss | None:
    held, read = min(_context(before), _context(row)), row["cache_read_tokens"] or 0
    tokens = held - read
    if tokens < max(SMALL, held / 4):
        return None
    seconds = _seconds(before["responded_at"], row["responded_at"])
    kept = LONG_S if before["cache_write_1h_tokens"] else SHORT_S
    begin, end = before["responded_at"] or "", row["responded_at"] or ""
    cause = (
        "model" if before["model_name"] != row["model_name"]
        else "compaction" if any(begin <= at <= end for at in compactions)
        else "pause" if seconds > kept
        else "other"
    )  # fmt: skip
    return Miss(
        row["turn_number"] or 0, row["entry_key"] or "", row["agent_id"] or "", cause,
        tokens, seconds, before["model_name"] or "", row["model_name"] or "",
        _dearer(row, tokens), row["session_id"],
    )  # fmt: skip


def _context(row: sqlite3.Row) -> int:
    counts = (row["input_tokens"], row["cache_write_tokens"], row["cache_read_tokens"])
    return sum(number or 0 for number in counts)


def _seconds(one: str | None, other: str | None) -> float:
    begin: datetime | None = moment(one)
    end = moment(other)
    return (end - begin).total_seconds() if begin and end else 0.0


def _dearer(row: sqlite3.Row, tokens: int) -> float | None:
    """Return the extra cost of tokens, compared with reading them from the cache."""
    sent = (row["input_tokens"] or 0) + (row["cache_write_tokens"] or 0)
    if row["cost_usd"] is None or row["cache_read_price"] is None or not sent:
        return None
    parts = (row["input_usd"], row["cache_write_5m_usd"], row["cache_write_1h_usd"])
    paid = sum(part or 0.0 for part in parts) / sent
    reading: float = row["cache_read_price"] * (row["price_multiplier"] or 1) / 1e6
    return max(tokens * float(paid - reading), 0.0)


def sentence(miss: Miss) -> str:
    """Return a cache miss as a sentence."""
    who = "A subagent: " if miss.agent_id else ""
    models = [
        formatting.model_name(one) or "another model"
        for one in (miss.before, miss.model)
    ]
    reason = {
        "pause": f"after a pause of {formatting.duration(miss.seconds)}",
        "model": f"after a switch from {models[0]} to {models[1]}",
        "compaction": "after a compaction",
    }.get(miss.cause, "because what came before had changed")
    cost = formatting.money(miss.cost) if miss.cost is not None else "an unknown sum"
    tokens = f"{formatting.count(miss.tokens)} tokens"
    return (
        f"{who}Turn {miss.turn} sent {tokens} again {reason}; "
        f"reading them from the cache would have saved {cost}."
    )
