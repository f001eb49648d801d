"""Report tokens and money by day, week, month, session, model, project, account."""

from collections.abc import Callable
from typing import Any, Literal

from cclake_report.export import Gold, Row, local_minute
from cclake_report.filters import Filters
from cclake_report.model import Column, Report, add_up, caveats

By = Literal["daily", "weekly", "monthly", "session", "models", "projects", "accounts"]

_MODEL = "(coalesce(t.model, '') || ' ' || coalesce(t.logged_model, ''))"
# The groups of each report. A quarter of an hour is in one day in every time zone.
_BUCKETS: dict[By, str] = {
    "daily": "local_day(:zone, quarter_no)",
    "weekly": "local_week(:zone, quarter_no)",
    "monthly": "local_month(:zone, quarter_no)",
    "session": "session_id",
    "models": "coalesce(model, 'unknown')",
    "projects": "coalesce(project_key, 'unknown')",
    "accounts": "account_of(host, project_key)",
}
_KEYS: dict[By, str] = {
    "daily": "date",
    "weekly": "week",
    "monthly": "month",
    "session": "session_id",
    "models": "model",
    "projects": "project_key",
    "accounts": "account",
}
_SQL = """
select
    coalesce({bucket}, 'unknown') as bucket,
    coalesce(model, 'unknown') as model,
    coalesce(sum(input_tokens), 0) as input_tokens,
    coalesce(sum(output_tokens), 0) as output_tokens,
    coalesce(sum(cache_write_tokens), 0) as cache_write_tokens,
    coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
    coalesce(sum(total_tokens), 0) as total_tokens,
    sum(api_responses) as responses,
    sum(uncounted_responses) as uncounted_responses,
    sum(unpriced_responses - uncounted_responses) as unpriced_responses,
    sum(final_counted_responses) as final_responses,
    sum(model_responses) as model_responses,
    sum(unpriced_model_responses - uncounted_responses) as model_unpriced,
    sum(cost_usd) as cost_usd,
    min(first_responded_at) as first_at,
    max(last_responded_at) as last_at
from agg_response_quarters as t where {where}
group by 1, 2 order by 1, sum(cost_usd) desc nulls last, 2
"""
_TOKENS = (
    Column("input_tokens", "Input", "count", rank=5),
    Column("output_tokens", "Output", "count", rank=5),
    Column("cache_write_tokens", "Cache write", "count", rank=6),
    Column("cache_read_tokens", "Cache read", "count", rank=6),
    Column("total_tokens", "Total tokens", "count", rank=1),
    Column("cost_usd", "Cost (USD)", "usd"),
)
_COLUMNS: dict[By, tuple[Column, ...]] = {
    "daily": (Column("date", "Date"), Column("models", "Models", "flex", rank=4)),
    "weekly": (Column("week", "Week from"), Column("models", "Models", "flex", rank=4)),
    "monthly": (Column("month", "Month"), Column("models", "Models", "flex", rank=4)),
    "session": (
        Column("last_at", "Last activity", rank=2),
        Column("session", "Session", rank=3),
        Column("project", "Project", rank=4),
        Column("title", "Title", "flex"),
    ),
    "models": (
        Column("model", "Model", "model"),
        Column("responses", "Responses", "count", rank=3),
    ),
    "projects": (
        Column("project", "Project", "flex"),
        Column("sessions", "Sessions", "count", rank=3),
        Column("last_at", "Last activity", rank=2),
    ),
    "accounts": (
        Column("account", "Account", "flex"),
        Column("last_at", "Last activity"),
    ),
}


def usage(gold: Gold, by: By, filters: Filters, breakdown: bool = False) -> Report:
    """Return tokens and cost, grouped.

    Args:
        gold: The export.
        by: The kind of groups.
        filters: The selection.
        breakdown: Add a `breakdown` by model to each row.
    """
    where, values = filters.where("quarter_no", _MODEL)
    bucket = _BUCKETS[by]
    if by == "accounts":
        gold.name_accounts(filters.rules)
    zone = [filters.timezone] * bucket.count(":zone")
    sql = _SQL.format(where=where, bucket=bucket.replace(":zone", "?"))
    parts = gold.rows(sql, [*zone, *values])
    for part in parts:
        for name in ("first_at", "last_at"):
            part[name] = local_minute(filters.timezone, part[name])
    totals, notes = add_up(parts), caveats(parts)
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
    # A response of one model can have parts of another.
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
    if by in ("models", "projects", "accounts"):
        return lambda row: (-(row["cost_usd"] or 0), row[_KEYS[by]])
    if by == "session":
        return lambda row: (row["last_at"] or "", row["session_id"])
    return lambda row: str(row[_KEYS[by]])


def _describe_sessions(
    gold: Gold, rows: list[dict[str, Any]], _filters: Filters
) -> None:
    names = {
        row.pop("session_id"): row
        for row in gold.rows(
            "select s.session_id, s.title, s.host, s.git_branch,"
            " coalesce(p.project_name, s.project_key) as project"
            " from dim_sessions as s"
            " left join dim_projects as p on p.project_key = s.project_key"
        )
    }
    for row in rows:
        row |= names.get(row["session_id"], {"title": None, "project": None})
        row["session"] = row["session_id"][:8]


def _describe_projects(
    gold: Gold, rows: list[dict[str, Any]], filters: Filters
) -> None:
    where, values = filters.where("quarter_no", _MODEL)
    names = {
        row.pop("project_key"): row
        for row in gold.rows(
            "select coalesce(t.project_key, 'unknown') as project_key,"
            " coalesce(max(p.project_name), 'unknown') as project,"
            " max(p.project_path) as project_path,"
            " count(distinct t.session_id) as sessions"
            " from agg_response_quarters as t"
            " left join dim_projects as p on p.project_key = t.project_key"
            f" where {where} group by t.project_key",
            values,
        )
    }
    for row in rows:
        row |= names[row["project_key"]]


_Adorn = Callable[[Gold, list[dict[str, Any]], Filters], None]
_ADORN: dict[By, _Adorn] = {
    "session": _describe_sessions,
    "projects": _describe_projects,
}
