"""The list of sessions: rows of a selection, page by page, and its totals."""

import sqlite3
from typing import Any

from cclake_common.masking import mask

from cclake_web.data import labels
from cclake_web.data.filters import SORTS, Filters
from cclake_web.data.zoned import zoned

PAGE = 100
_JOINS = """
left join agg_session_metrics m on m.session_id = s.session_id
left join dim_projects p on p.project_key = s.project_key
"""
_FROM = f"from dim_sessions s {_JOINS}"
_COLUMNS = """
s.session_id, s.host, s.project_key, p.project_name, p.project_path, s.title,
s.first_prompt, s.git_branch, s.cwd, s.started_at, s.ended_at, s.wall_s, s.active_s,
s.parent_session_id, s.relation, s.models, s.claude_version,
m.turns, m.messages, m.tool_calls, m.tool_errors, m.api_errors, m.subagents,
m.compactions, m.api_responses, m.unpriced_responses, m.final_responses,
m.input_tokens, m.output_tokens, m.cache_write_tokens, m.cache_read_tokens,
m.total_tokens, m.cost_usd,
case when m.unpriced_responses > 0 then (select count(*) from fct_api_responses r
    where r.session_id = s.session_id and r.input_tokens is null)
    else 0 end as uncounted_responses
"""
Row = dict[str, Any]


def page(
    connection: sqlite3.Connection, filters: Filters, after: str = ""
) -> tuple[list[Row], str]:
    """One page of sessions, and the cursor of the next one ("" at the end).

    Args:
        connection: Of the export with its sums.
        filters: The selection and its order.
        after: The cursor that the page before gave.
    """
    conditions, values = selected(connection, filters)
    order = SORTS[filters.sort][0]
    value, _, last = after.rpartition("~")
    if last:
        conditions.append(f"({order}, s.session_id) < (:value, :last)")
        values |= {"value": _number(value, filters.sort), "last": last}
    # First which ones: sorting all columns of all sessions would take longer.
    sql = f"""with chosen as materialized (
        select s.session_id, {order} as cursor_value
        from sums.listed s {_all_of(conditions)}
        order by {order} desc, s.session_id desc limit {PAGE + 1}
    )
    select {_COLUMNS}, chosen.cursor_value from chosen
    join dim_sessions s on s.session_id = chosen.session_id {_JOINS}
    order by chosen.cursor_value desc, s.session_id desc"""
    rows = [dict(row) for row in connection.execute(sql, values)]
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    end = f"{rows[-1]['cursor_value']}~{rows[-1]['session_id']}" if more else ""
    return rows, end


def selected(
    connection: sqlite3.Connection, filters: Filters
) -> tuple[list[str], dict[str, Any]]:
    """The conditions of a selection, those that need the sums included."""
    conditions, values = filters.where()
    if filters.tool:
        conditions.append(
            "s.session in (select session from sums.calls where tool = :tool"
            f"{' and kind = :kind' if filters.kind else ''})"
        )
    elif filters.kind:
        conditions.append(
            "s.session in (select session from sums.calls where kind = :kind)"
        )
    if filters.slot:
        zone = f"sums.zone{zoned(connection, filters.zone)}"
        conditions.append(
            f"""s.session in (select h.session from sums.quarters h
            join {zone} z on z.quarter = h.quarter where z.slot = :slot
            and z.day between :since and :until)"""
        )
        values |= {"since": filters.since, "until": filters.until or "9999"}
    return conditions, values


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
    """Sums over the whole selection."""
    conditions, values = selected(connection, filters)
    sql = f"""select count(*) as sessions, sum(s.cost) as cost_usd,
    sum(s.tokens) as total_tokens, sum(s.turns) as turns,
    sum(s.unpriced) as unpriced, sum(s.uncounted) as uncounted, max(s.cost) as highest
    from sums.listed s {_all_of(conditions)}"""
    return dict(connection.execute(sql, values).fetchone())


def one(connection: sqlite3.Connection, session_id: str) -> Row | None:
    """One session, or None."""
    sql = f"select {_COLUMNS} {_FROM} where s.session_id = ?"
    row = connection.execute(sql, (session_id,)).fetchone()
    return dict(row) if row else None


def choices(connection: sqlite3.Connection) -> dict[str, list[tuple[str, str, int]]]:
    """What can be chosen: for each filter (value, label, number of sessions)."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    for name, column in (
        ("project", "s.project_key"), ("branch", "s.git_branch"), ("host", "s.host"),
    ):  # fmt: skip
        sql = f"""select {column}, {column}, count(*), max(p.project_name),
        max(p.project_path) {_FROM} where {column} <> ''
        group by 1 order by 3 desc, 1 limit 300"""
        rows = connection.execute(sql).fetchall()
        found[name] = [tuple(row[:3]) for row in rows]
        if name == "project":
            named = labels.of_projects([(row[0], row[3], row[4]) for row in rows])
            found[name] = [(row[0], named[row[0]], row[2]) for row in rows]
    models: dict[str, int] = {}
    for joined, number in connection.execute(
        "select models, count(*) from dim_sessions where models <> '' group by 1"
    ):
        for model in (part.strip() for part in joined.split(",")):
            models[model] = models.get(model, 0) + number
    ranked = sorted(models.items(), key=lambda pair: (-pair[1], pair[0]))
    said = labels.of_models([model for model, _ in ranked])
    found["model"] = [(model, said[model], number) for model, number in ranked]
    # Values that need masking can't be offered: the page would contain them.
    return {
        name: [
            one for one in some if mask(f"{one[0]} {one[1]}") == f"{one[0]} {one[1]}"
        ]
        for name, some in found.items()
    }
