"""Report tools, errors and five-hour blocks."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from cclake_common import windows

from cclake_report.export import Gold, moment
from cclake_report.filters import Filters
from cclake_report.model import Column, Report

_TOOLS = """
select
    t.tool_name, t.tool_category as category,
    count(*) as calls,
    count(*) filter (where t.is_error) as errors,
    count(*) filter (where t.error_kind = 'denied') as denied,
    1.0 * count(*) filter (where t.is_error) / count(*) as error_rate,
    median(t.duration_ms) as median_ms,
    p95(t.duration_ms) as p95_ms,
    sum(t.duration_ms) as total_ms,
    count(distinct t.session_id) as sessions
from fct_tool_calls as t where {where}
group by 1, 2 order by calls desc, tool_name
"""
_ERRORS = """
select 'tool' as source, t.tool_name as what, coalesce(t.error_kind, 'other') as kind,
    count(*) as errors, count(distinct t.session_id) as sessions,
    local_minute(?, max(t.called_at)) as last_at
from fct_tool_calls as t where t.is_error and {tools} group by 1, 2, 3
union all
select 'api', coalesce(t.model, 'API'), t.message_kind, count(*),
    count(distinct t.session_id),
    local_minute(?, max(t.said_at))
from fct_messages as t
where t.message_kind in ('api_error', 'interrupt') and {messages} group by 1, 2, 3
order by errors desc, source, what, kind
"""
_WINDOWS = """
with windows as (
    select value * 4 as first, value * 4 + ? as after from json_each(?)
)
select strftime('%Y-%m-%dT%H:%M:%SZ', w.first * 900, 'unixepoch') as block_start,
    strftime('%Y-%m-%dT%H:%M:%SZ', w.after * 900, 'unixepoch') as block_end,
    min(t.first_responded_at) as first_response_at,
    max(t.last_responded_at) as last_response_at,
    sum(t.api_responses) as api_responses,
    sum(t.unpriced_responses) as unpriced_responses,
    count(distinct t.session_id) as sessions,
    json_group_array(distinct t.model) as models,
    sum(t.input_tokens) as input_tokens, sum(t.output_tokens) as output_tokens,
    sum(t.cache_write_tokens) as cache_write_tokens,
    sum(t.cache_read_tokens) as cache_read_tokens,
    sum(t.total_tokens) as total_tokens, sum(t.cost_usd) as cost_usd
from windows as w
inner join agg_response_quarters as t
    on t.quarter_no >= w.first and t.quarter_no < w.after
where {where} group by w.first order by w.first
"""
_BLOCK_TIMES = ("block_start", "block_end", "first_response_at", "last_response_at")
MODEL_OF_CALL = """(
    select max(coalesce(r.model_name, '') || ' ' || coalesce(r.model, ''))
    from fct_api_responses as r where r.message_id = t.message_id)"""
"""SQL for the names of the model that made a call of `t`."""


def tools(gold: Gold, filters: Filters) -> Report:
    """Return calls, errors and durations by tool."""
    where, values = filters.where("called_at", MODEL_OF_CALL)
    rows = gold.rows(_TOOLS.format(where=where), values)
    columns = (
        Column("tool_name", "Tool", "flex"),
        Column("category", "Category", rank=4),
        Column("calls", "Calls", "count"),
        Column("errors", "Errors", "count", rank=1),
        Column("error_rate", "Error rate", "percent", rank=2),
        Column("denied", "Denied", "count", rank=4),
        Column("median_ms", "Median", "ms", rank=3),
        Column("p95_ms", "p95", "ms", rank=3),
        Column("total_ms", "Total", "ms", rank=2),
    )
    totals: dict[str, Any] = {
        key: sum(row[key] or 0 for row in rows)
        for key in ("calls", "errors", "denied", "total_ms")
    }
    totals["error_rate"] = totals["errors"] / totals["calls"] if rows else None
    return Report("tools", columns, rows, totals)


def errors(gold: Gold, filters: Filters) -> Report:
    """Failed tool calls by kind, API errors and interrupts."""
    calls, call_values = filters.where("called_at", MODEL_OF_CALL)
    messages, message_values = filters.where("said_at")
    rows = gold.rows(
        _ERRORS.format(tools=calls, messages=messages),
        [filters.timezone, *call_values, filters.timezone, *message_values],
    )
    columns = (
        Column("source", "From", rank=3),
        Column("what", "Tool or model", "flex"),
        Column("kind", "Kind", rank=2),
        Column("errors", "Errors", "count", rank=1),
        Column("sessions", "Sessions", "count", rank=4),
        Column("last_at", "Last", rank=3),
    )
    totals = {"errors": sum(row["errors"] for row in rows)}
    return Report("errors", columns, rows, totals)


def blocks(
    gold: Gold, filters: Filters, active: bool = False, now: datetime | None = None
) -> Report:
    """Return the five-hour windows of a subscription, over all projects and machines.

    Args:
        gold: The export.
        filters: The days, the account and the time zone; others are ignored.
        active: Return only the window that is open now.
        now: The time; None: the current time.
    """
    now = now or datetime.now(UTC)
    zone = ZoneInfo(filters.timezone)
    rows = []
    for row in _windows(gold, filters):
        row |= {name: moment(row[name]) for name in _BLOCK_TIMES}
        begin = row["block_start"].astimezone(zone)
        left = (row["block_end"] - now).total_seconds() / 60
        row["is_active"] = row["block_start"] <= now < row["block_end"]
        row["minutes_left"] = round(left) if row["is_active"] else None
        row["state"] = f"{left / 60:.1f} h left" if row["is_active"] else ""
        row["models"] = (row["models"] or "").split(", ")
        row["block"] = begin.strftime("%Y-%m-%d %H:%M")
        if _within(begin, filters) and (row["is_active"] or not active):
            rows.append(row)
    columns = (
        Column("block", "Block from"),
        Column("state", "Now", rank=2),
        Column("models", "Models", "flex", rank=3),
        Column("input_tokens", "Input", "count", rank=5),
        Column("output_tokens", "Output", "count", rank=5),
        Column("total_tokens", "Total tokens", "count", rank=1),
        Column("tokens_per_minute", "Tokens/min", "count", rank=4),
        Column("usd_per_hour", "USD/h", "usd", rank=2),
        Column("cost_usd", "Cost (USD)", "usd"),
    )
    return Report("blocks", columns, rows, None, _outlook(rows))


def _windows(gold: Gold, filters: Filters) -> list[dict[str, Any]]:
    """Return the windows of an account; those of all accounts together are in gold."""
    if not filters.account:
        return gold.rows("select * from agg_usage_blocks order by block_start")
    mine = Filters(account=filters.account, rules=filters.rules)
    where, values = mine.where("quarter_no")
    hours = gold.rows(
        "select distinct quarter_no / 4 as hour from agg_response_quarters as t"
        f" where quarter_no is not null and {where} order by 1",
        values,
    )
    starts = windows.starts([row["hour"] for row in hours], whole=True)
    sql = _WINDOWS.format(where=where)
    rows = gold.rows(sql, [4 * windows.HOURS, json.dumps(starts), *values])
    for row in rows:
        first, last = (moment(row[name]) for name in _BLOCK_TIMES[2:])
        minutes = (last - first).total_seconds() / 60 if first and last else 0
        row["models"] = ", ".join(sorted(filter(None, json.loads(row["models"]))))
        row["active_minutes"] = minutes
        row["tokens_per_minute"] = row["usd_per_hour"] = None
        if minutes:
            row["tokens_per_minute"] = (row["total_tokens"] or 0) / minutes
            if row["cost_usd"] is not None:
                row["usd_per_hour"] = row["cost_usd"] / Decimal(minutes) * 60
    return rows


def _within(begin: datetime, filters: Filters) -> bool:
    day = begin.date()
    return not (
        (filters.since and day < filters.since)
        or (filters.until and day > filters.until)
    )


def _outlook(rows: list[dict[str, Any]]) -> list[str]:
    notes = []
    for row in rows:
        if row["is_active"] and row["usd_per_hour"] and row["cost_usd"] is not None:
            more = float(row["usd_per_hour"]) * row["minutes_left"] / 60
            end = float(row["cost_usd"]) + more
            notes.append(f"At this pace the open block ends at ${end:,.2f}.")
    missing = [row["unpriced_responses"] for row in rows if row["unpriced_responses"]]
    if missing:
        notes.append(
            f"WITHOUT A COST: {sum(missing):,} responses in {len(missing):,} blocks,"
            " logged without token counts or of a model without a price."
            " `report daily` names them."
        )
    return notes
