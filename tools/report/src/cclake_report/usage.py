"""Tokens and money: by day, week, month, session, model and project."""

from collections.abc import Callable
from typing import Any, Literal

from cclake_report.filters import Filters
from cclake_report.model import Column, Report, add_up, honesty
from cclake_report.source import Gold, Row

By = Literal["daily", "weekly", "monthly", "session", "models", "projects"]

# Sums by quarter of an hour, which belongs to one day in every time zone.
_QUARTERS = """(
    select *, make_timestamp_ms(quarter_no * 900000) as quarter_at
    from marts.agg_response_quarters
)"""
_MODEL = "concat_ws(' ', t.model, t.logged_model)"
# What each report groups by, over table `t` and the local time `local_at`.
_BUCKETS: dict[By, str] = {
    "daily": "strftime(local_at, '%Y-%m-%d')",
    "weekly": "strftime(date_trunc('week', local_at), '%Y-%m-%d')",
    "monthly": "strftime(local_at, '%Y-%m')",
    "session": "session_id",
    "models": "coalesce(model, 'unknown')",
    "projects": "coalesce(project_key, 'unknown')",
}
_KEYS: dict[By, str] = {
    "daily": "date",
    "weekly": "week",
    "monthly": "month",
    "session": "session_id",
    "models": "model",
    "projects": "project_key",
}
_SQL = """
with t as (
    select t.*, timezone(?, t.quarter_at::timestamptz) as local_at
    from {quarters} as t where {where}
)
select
    coalesce({bucket}, 'unknown') as bucket,
    coalesce(model, 'unknown') as model,
    coalesce(sum(input_tokens), 0)::bigint as input_tokens,
    coalesce(sum(output_tokens), 0)::bigint as output_tokens,
    coalesce(sum(cache_write_tokens), 0)::bigint as cache_write_tokens,
    coalesce(sum(cache_read_tokens), 0)::bigint as cache_read_tokens,
    coalesce(sum(total_tokens), 0)::bigint as total_tokens,
    sum(api_responses)::bigint as responses,
    sum(uncounted_responses)::bigint as uncounted_responses,
    sum(unpriced_responses - uncounted_responses)::bigint as unpriced_responses,
    sum(final_counted_responses)::bigint as final_responses,
    sum(model_responses)::bigint as model_responses,
    sum(unpriced_model_responses - uncounted_responses)::bigint as model_unpriced,
    sum(cost_usd) as cost_usd,
    strftime(timezone(?, min(first_responded_at)::timestamptz), '%Y-%m-%d %H:%M')
        as first_at,
    strftime(timezone(?, max(last_responded_at)::timestamptz), '%Y-%m-%d %H:%M')
        as last_at
from t group by all order by bucket, sum(cost_usd) desc nulls last, model
"""
_TOKENS = (
    Column("input_tokens", "Input", "count"),
    Column("output_tokens", "Output", "count"),
    Column("cache_write_tokens", "Cache write", "count"),
    Column("cache_read_tokens", "Cache read", "count"),
    Column("total_tokens", "Total tokens", "count"),
    Column("cost_usd", "Cost (USD)", "usd"),
)
_COLUMNS: dict[By, tuple[Column, ...]] = {
    "daily": (Column("date", "Date"), Column("models", "Models", "flex")),
    "weekly": (Column("week", "Week from"), Column("models", "Models", "flex")),
    "monthly": (Column("month", "Month"), Column("models", "Models", "flex")),
    "session": (
        Column("last_at", "Last activity"),
        Column("session", "Session"),
        Column("project", "Project"),
        Column("title", "Title", "flex"),
    ),
    "models": (
        Column("model", "Model", "model"),
        Column("responses", "Responses", "count"),
    ),
    "projects": (
        Column("project", "Project", "flex"),
        Column("sessions", "Sessions", "count"),
        Column("last_at", "Last activity"),
    ),
}


def usage(gold: Gold, by: By, filters: Filters, breakdown: bool = False) -> Report:
    """Tokens and cost, grouped.

    Args:
        gold: The export.
        by: What to group by.
        filters: What to count.
        breakdown: Give each row a `breakdown` by model.
    """
    where, values = filters.where("quarter_at", _MODEL)
    sql = _SQL.format(where=where, bucket=_BUCKETS[by], quarters=_QUARTERS)
    zone = filters.timezone
    parts = gold.rows(sql, [zone, *values, zone, zone])
    totals, notes = add_up(parts), honesty(parts)
    rows = [_row(by, key, found) for key, found in _grouped(parts).items()]
    if by in _ADORN:
        _ADORN[by](gold, rows, filters)
    rows.sort(key=_order(by))
    if not breakdown:
        for row in rows:
            del row["breakdown"]
    columns = (*_COLUMNS[by], *_TOKENS)
    return Report(by, columns, rows, totals, notes)


def _grouped(parts: list[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for part in parts:
        groups.setdefault(part.pop("bucket"), []).append(part)
    return groups


def _row(by: By, key: str, parts: list[Row]) -> dict[str, Any]:
    known = [(p["first_at"], p["last_at"]) for p in parts if p["first_at"]]
    sums = add_up(parts)
    # A model may have a part in a response that is counted for another model.
    for part in parts:
        part["responses"] = part.pop("model_responses")
        part["unpriced_responses"] = part.pop("model_unpriced")
    if by == "models":
        sums |= {name: parts[0][name] for name in ("responses", "unpriced_responses")}
    return {
        _KEYS[by]: key,
        "models": [part["model"] for part in parts],
        **sums,
        "first_at": min((first for first, _ in known), default=None),
        "last_at": max((last for _, last in known), default=None),
        "breakdown": parts,
    }


def _order(by: By) -> Callable[[dict[str, Any]], Any]:
    if by in ("models", "projects"):
        return lambda row: (-(row["cost_usd"] or 0), row[_KEYS[by]])
    if by == "session":
        return lambda row: (row["last_at"] or "", row["session_id"])
    return lambda row: str(row[_KEYS[by]])


def _adorn_sessions(gold: Gold, rows: list[dict[str, Any]], _filters: Filters) -> None:
    names = {
        row.pop("session_id"): row
        for row in gold.rows(
            "select s.session_id, s.title, s.host, s.git_branch,"
            " coalesce(p.project_name, s.project_key) as project"
            " from marts.dim_sessions as s"
            " left join marts.dim_projects as p on p.project_key = s.project_key"
        )
    }
    for row in rows:
        row |= names.get(row["session_id"], {"title": None, "project": None})
        row["session"] = row["session_id"][:8]


def _adorn_projects(gold: Gold, rows: list[dict[str, Any]], filters: Filters) -> None:
    where, values = filters.where("quarter_at", _MODEL)
    names = {
        row.pop("project_key"): row
        for row in gold.rows(
            "select coalesce(t.project_key, 'unknown') as project_key,"
            " coalesce(any_value(p.project_name), 'unknown') as project,"
            " any_value(p.project_path) as project_path,"
            " count(distinct t.session_id) as sessions"
            f" from {_QUARTERS} as t"
            " left join marts.dim_projects as p on p.project_key = t.project_key"
            f" where {where} group by t.project_key",
            values,
        )
    }
    for row in rows:
        row |= names[row["project_key"]]


_Adorn = Callable[[Gold, list[dict[str, Any]], Filters], None]
_ADORN: dict[By, _Adorn] = {
    "session": _adorn_sessions,
    "projects": _adorn_projects,
}
