"""Query the list of sessions: the pages of a selection, and its totals."""

import sqlite3
from collections.abc import Collection
from typing import Any

from cclake_archive.json_text import dumps
from cclake_common.accounts import NONE, Accounts
from cclake_common.masking import mask

from cclake_web.data import labels
from cclake_web.data.filters import SORTS, Filters
from cclake_web.data.quarters import chosen_days, local
from cclake_web.data.zones import slot_of

PAGE = 100
_METRICS = "left join agg_session_metrics m on m.session_id = s.session_id"
_JOINS = f"""{_METRICS}
left join dim_projects p on p.project_key = s.project_key
"""
_FROM = f"from dim_sessions s {_JOINS}"
_COLUMNS = """
s.session_id, s.host, s.project_key, p.project_name, p.project_path, s.title,
s.first_prompt, s.git_branch, s.cwd, s.started_at, s.ended_at, s.wall_s, s.active_s,
s.parent_session_id, s.relation, s.models, s.claude_version,
m.turns, m.messages, m.tool_calls, m.tool_errors, m.api_errors, m.subagents,
m.compactions, m.api_responses, m.unpriced_responses,
coalesce(m.uncounted_responses, 0) as uncounted_responses, m.final_responses,
m.input_tokens, m.output_tokens, m.cache_write_tokens, m.cache_read_tokens,
m.total_tokens, m.cost_usd
"""
_PROJECTS = "select project_key, project_name, project_path from dim_projects"
Row = dict[str, Any]
Place = tuple[str | float, str]


def page(
    connection: sqlite3.Connection, filters: Filters, after: str = ""
) -> tuple[list[Row], str]:
    """Return one page of sessions, and the cursor of the next one ("" at the end).

    Args:
        connection: Of the export.
        filters: The selection and its order.
        after: The cursor from the previous page.
    """
    conditions, values = selected(connection, filters)
    order = SORTS[filters.sort][0]
    value, _, last = after.rpartition("~")
    if last:
        conditions += _beyond(order, "<")
        values |= {"value": _number(value, filters.sort), "last": last}
    rows = _first(connection, conditions, values, order, "desc", PAGE + 1)
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    end = f"{rows[-1]['cursor_value']}~{rows[-1]['session_id']}" if more else ""
    return rows, end


def around(
    connection: sqlite3.Connection,
    filters: Filters,
    place: Place,
    number: int,
    without: Collection[str] = (),
) -> tuple[list[Row], list[Row]]:
    """Return the sessions above and below a place in the list, nearest first.

    Args:
        connection: Of the export.
        filters: The selection and its order.
        place: What the list is sorted by, and the id of a session.
        number: Maximum number of sessions on each side.
        without: Ids of sessions that are left out.
    """
    conditions, values = selected(connection, filters)
    order = SORTS[filters.sort][0]
    values |= {"value": place[0], "last": place[1]}
    if without:
        conditions.append("s.session_id not in (select value from json_each(:without))")
        values["without"] = dumps(sorted(without))
    above, below = (
        _first(
            connection,
            [*conditions, *_beyond(order, sign)], values, order, direction, number,
        )
        for sign, direction in ((">", "asc"), ("<", "desc"))
    )  # fmt: skip
    return above, below


def _beyond(order: str, sign: str) -> list[str]:
    """Return the conditions that a session is above (>) or below (<) a place."""
    pair = f"({order}, s.session_id) {sign} (:value, :last)"
    # The first condition says where to begin: SQLite does not look up such a pair.
    return [f"{order} {sign}= :value", pair]


def _first(
    connection: sqlite3.Connection,
    conditions: list[str],
    values: dict[str, Any],
    order: str,
    direction: str,
    number: int,
) -> list[Row]:
    # Choose the ids first: sorting all columns of all sessions would take longer.
    sql = f"""with chosen as materialized (
        select s.session_id, {order} as cursor_value
        {_from(order, *conditions)} {_all_of(conditions)}
        order by {order} {direction}, s.session_id {direction} limit {number}
    )
    select {_COLUMNS}, chosen.cursor_value from chosen
    join dim_sessions s on s.session_id = chosen.session_id {_JOINS}
    order by chosen.cursor_value {direction}, s.session_id {direction}"""
    return [dict(row) for row in connection.execute(sql, values)]


def selected(
    connection: sqlite3.Connection, filters: Filters
) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions of a selection on sessions, and their values."""
    conditions, values = filters.where()
    # The plus makes SQLite read all sessions in order and look each up in a set of ids,
    # which is faster than finding each by its id.
    called = (
        (filters.tool, "tool_name = :tool"), (filters.kind, "error_kind = :kind"),
    )  # fmt: skip
    if wanted := [sql for value, sql in called if value]:
        conditions.append(
            f"""+s.session_id in (select session_id from agg_call_quarters
            where {" and ".join(wanted)})"""
        )
    if filters.slot:
        within, days = chosen_days(filters)
        slot = slot_of(local(connection, filters, "agg_response_quarters"))
        conditions.append(
            f"""+s.session_id in (select session_id from agg_response_quarters
            where {slot} = :slot and {within})"""
        )
        values |= days
    return conditions, values


def subset(
    connection: sqlite3.Connection, filters: Filters
) -> tuple[str, dict[str, Any]]:
    """Return a query for the ids of the chosen sessions, or "" for all."""
    conditions, values = selected(connection, filters)
    if not conditions:
        return "", values
    return f"select s.session_id {_from(*conditions)} {_all_of(conditions)}", values


def _from(*used: str) -> str:
    """Return the FROM clause, with the metrics if these are used."""
    return f"from dim_sessions s {_METRICS if 'm.' in ' '.join(used) else ''}"


def _all_of(conditions: list[str]) -> str:
    return f"where {' and '.join(conditions)}" if conditions else ""


def _number(value: str, sort: str) -> str | float:
    if sort == "recent":
        return value
    try:
        return float(value)
    except ValueError:
        return 0.0


def totals(connection: sqlite3.Connection, filters: Filters) -> Row:
    """Return sums over the whole selection."""
    conditions, values = selected(connection, filters)
    sql = f"""select count(*) as sessions, sum(m.cost_usd) as cost_usd,
    sum(m.total_tokens) as total_tokens, sum(m.turns) as turns,
    sum(m.unpriced_responses - m.uncounted_responses) as unpriced,
    sum(m.uncounted_responses) as uncounted, max(m.cost_usd) as highest
    from dim_sessions s {_METRICS} {_all_of(conditions)}"""
    return dict(connection.execute(sql, values).fetchone())


def one(connection: sqlite3.Connection, session_id: str) -> Row | None:
    """Return one session, or None."""
    sql = f"select {_COLUMNS} {_FROM} where s.session_id = ?"
    row = connection.execute(sql, (session_id,)).fetchone()
    return dict(row) if row else None


def choices(
    connection: sqlite3.Connection, rules: Accounts
) -> dict[str, list[tuple[str, str, int]]]:
    """Return the choices of each filter: (value, label, number of sessions).

    Args:
        connection: Of the export.
        rules: The rules of the accounts.
    """
    found: dict[str, list[tuple[str, str, int]]] = {}
    for name, column in (
        ("project", "project_key"), ("branch", "git_branch"), ("host", "host"),
    ):  # fmt: skip
        sql = f"""select {column}, count(*) from dim_sessions where {column} <> ''
        group by 1 order by 2 desc, 1 limit 300"""
        found[name] = [(one, one, number) for one, number in connection.execute(sql)]
    known = {row[0]: row for row in connection.execute(_PROJECTS)}
    keys = [(key, key, None) for key, _, _ in found["project"]]
    named = labels.of_projects([known.get(key[0], key) for key in keys])
    found["project"] = [(key, named[key], n) for key, _, n in found["project"]]
    found["account"] = _accounts(connection, rules)
    models: dict[str, int] = {}
    for joined, number in connection.execute(
        "select models, count(*) from dim_sessions where models <> '' group by 1"
    ):
        for model in (part.strip() for part in joined.split(",")):
            models[model] = models.get(model, 0) + number
    ranked = sorted(models.items(), key=lambda pair: (-pair[1], pair[0]))
    said = labels.of_models([model for model, _ in ranked])
    found["model"] = [(model, said[model], number) for model, number in ranked]
    # Values with secrets are not offered, since the page would contain them.
    return {
        name: [
            one for one in some if mask(f"{one[0]} {one[1]}") == f"{one[0]} {one[1]}"
        ]
        for name, some in found.items()
    }


def _accounts(
    connection: sqlite3.Connection, rules: Accounts
) -> list[tuple[str, str, int]]:
    if not rules.rules:
        return []
    found: dict[str, int] = {}
    for host, path, number in connection.execute(
        """select s.host, p.project_path, count(*) from dim_sessions s
        left join dim_projects p on p.project_key = s.project_key group by 1, 2"""
    ):
        account = rules.of(host, path) or NONE
        found[account] = found.get(account, 0) + number
    labels = {NONE: "no account"}
    return [
        (name, labels.get(name, name), number)
        for name, number in sorted(found.items(), key=lambda pair: -pair[1])
    ]
