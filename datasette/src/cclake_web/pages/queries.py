"""The SQL behind the charts, as it can be run on the export.

`{at}` is the time in the viewer's zone, `{where}` the condition of the selection.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from cclake_web.data.filters import Filters
from cclake_web.data.zones import changes

_PART = """responded_at, session_id, project_key, host, is_sidechain, usage_final,
        input_tokens, output_tokens, cache_write_tokens, cache_read_tokens, cost_usd,
        model_name as model"""
# Responses, and the items of those that have several: each belongs to its own model.
PARTS = f"""\
with parts as (
    select {_PART},
        context_tokens, 1 as is_response, 1 as is_first_of_model,
        not is_priced as is_first_unpriced
    from fct_api_responses where price_parts < 2
    union all
    select {_PART},
        case when is_main then context_tokens end, is_response, is_first_of_model,
        is_first_unpriced
    from fct_response_items)
"""
QUERIES = {
    "cost_by_day_and_model": """\
select substr({at}, 1, 10) as day, model,
    sum(is_first_of_model) as responses, round(sum(cost_usd), 4) as cost_usd,
    sum(is_first_unpriced and input_tokens is not null) as unpriced,
    sum(is_response and input_tokens is null) as uncounted
from parts as r
{where}group by day, model
order by day desc, cost_usd desc""",
    "days": """\
select substr({at}, 1, 10) as day, round(sum(cost_usd), 4) as cost_usd,
    sum(is_response) as responses, count(distinct session_id) as sessions
from parts as r
{where}group by day
order by day desc""",
    "tokens_by_day": """\
select substr({at}, 1, 10) as day, sum(input_tokens) as input,
    sum(cache_write_tokens) as cache_written, sum(cache_read_tokens) as cache_read,
    sum(output_tokens) as output, sum(is_response and usage_final) as final,
    sum(is_response) as responses
from parts as r
{where}group by day
order by day desc""",
    "hours": """\
select strftime('%w', {at}) as weekday,
    substr({at}, 12, 2) as hour, sum(is_response) as responses
from parts as r
{where}group by weekday, hour
order by weekday, hour""",
    "cache": """\
select substr({at}, 1, 10) as day,
    round(1.0 * sum(cache_read_tokens) / sum(
        input_tokens + cache_write_tokens + cache_read_tokens), 4) as hit_ratio
from parts as r
{where}group by day
order by day desc""",
    "context": """\
select substr({at}, 1, 10) as day,
    round(1.0 * sum(input_tokens + cache_write_tokens + cache_read_tokens)
        / sum(is_response)) as mean_context, max(context_tokens) as largest_context
from parts as r
{where}group by day
order by day desc""",
    "subagents": """\
select substr({at}, 1, 10) as day, is_sidechain,
    round(sum(cost_usd), 4) as cost_usd, sum(is_response) as responses
from parts as r
{where}group by day, is_sidechain
order by day desc""",
    "projects": """\
select r.project_key, p.project_name, round(sum(r.cost_usd), 4) as cost_usd,
    sum(is_response) as responses,
    sum(r.is_first_unpriced and r.input_tokens is not null) as unpriced,
    sum(r.is_response and r.input_tokens is null) as uncounted
from parts as r
left join dim_projects as p on p.project_key = r.project_key
{where}group by r.project_key
order by cost_usd desc""",
    "models": """\
select model, sum(is_first_of_model) as responses, sum(output_tokens) as output,
    round(1.0 * sum(is_response and usage_final) / sum(is_response), 4) as share_final,
    round(sum(cost_usd), 4) as cost_usd,
    sum(is_first_unpriced and input_tokens is not null) as unpriced,
    sum(is_response and input_tokens is null) as uncounted
from parts as r
{where}group by model
order by cost_usd desc""",
    "tools": """\
with ranked as (
    select c.tool_name, c.is_error, c.duration_ms,
        row_number() over (partition by c.tool_name
            order by c.duration_ms is null, c.duration_ms) as place,
        count(c.duration_ms) over (partition by c.tool_name) as timed
    from fct_tool_calls as c
    {where})
select tool_name, count(*) as calls, sum(coalesce(is_error, 0)) as errors,
    round(100.0 * sum(coalesce(is_error, 0)) / count(*), 1) as error_percent,
    avg(case when place in ((timed + 1) / 2, (timed + 2) / 2)
        then duration_ms end) as median_ms
from ranked
group by tool_name
order by calls desc""",
    "errors": """\
select coalesce(c.error_kind, 'other') as error_kind, c.tool_name, count(*) as errors
from fct_tool_calls as c
{where}group by 1, 2
order by errors desc""",
    "dearest_prompts": """\
select t.session_id, s.title, t.turn_number, t.started_at, t.tool_calls,
    t.api_responses, t.total_tokens, round(t.cost_usd, 4) as cost_usd
from agg_turn_metrics as t
join dim_sessions as s on s.session_id = t.session_id
{where}order by t.cost_usd desc
limit 100""",
    "blocks": """\
select substr({at}, 1, 13) || ':00' as hour,
    sum(is_response) as responses, round(sum(cost_usd), 4) as cost_usd
from parts as r
{where}group by hour
order by hour desc""",
}

FIRST_YEAR = 2025  # of Claude Code
_CALLS = {"tools", "errors"}
_TURNS = "dearest_prompts"


def sql_of(name: str, filters: Filters | None = None) -> str:
    """Return SQL that counts what the chart of this selection counts."""
    chosen = filters or Filters()
    whose = _calls if name in _CALLS else _turns if name == _TURNS else _responses
    conditions = whose(chosen)
    if name == "errors":
        conditions.insert(0, "c.is_error")
    joined = "\n    and ".join(conditions)
    return (PARTS if whose is _responses else "") + QUERIES[name].format(
        at=local_time("r.responded_at", chosen.zone),
        where=f"where {joined}\n" if joined else "",
    )


def _responses(chosen: Filters) -> list[str]:
    low, high = chosen.bounds()
    pairs = (
        (chosen.project, "r.project_key = {}"), (chosen.model, "r.model = {}"),
        (chosen.host, "r.host = {}"),
        (chosen.branch, "r.session_id in (select session_id from dim_sessions\n"
         "        where git_branch = {})"),
        (low, "r.responded_at >= {}"), (high, "r.responded_at < {}"),
    )  # fmt: skip
    return _written(pairs) + _kept(chosen, "r.session_id") + _of(chosen, "r")


def _calls(chosen: Filters) -> list[str]:
    low, high = chosen.bounds()
    sessions = "c.session_id in (select session_id from dim_sessions\n        where "
    pairs = (
        (chosen.project, "c.project_key = {}"),
        (chosen.model, "c.message_id in (select message_id from fct_api_responses\n"
         "        where model_name = {})"),
        (chosen.host, sessions + "host = {})"),
        (chosen.branch, sessions + "git_branch = {})"),
        (low, "c.called_at >= {}"), (high, "c.called_at < {}"),
    )  # fmt: skip
    found = _written(pairs) + _kept(chosen, "c.session_id")
    return found + [f"{sessions}{sql})" for sql in _of(chosen, "dim_sessions")]


def _turns(chosen: Filters) -> list[str]:
    low, high = chosen.bounds()
    pairs = (
        ("turns", "t.cost_usd > 0 and t.turn_number > 0"),
        (chosen.project, "s.project_key = {}"), (chosen.host, "s.host = {}"),
        (chosen.branch, "s.git_branch = {}"),
        (chosen.model and f",{chosen.model},",
         "instr(',' || replace(s.models, ', ', ',') || ',', {})"),
        (low, "t.started_at >= {}"), (high, "t.started_at < {}"),
    )  # fmt: skip
    return _written(pairs) + _kept(chosen, "t.session_id") + _of(chosen, "s")


def _written(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [sql.format(literal(value)) for value, sql in pairs if value]


def _kept(chosen: Filters, column: str) -> list[str]:
    """Return the condition of a star or a label: the sessions that have it now."""
    if not chosen.keeps:
        return []
    return [f"{column} in ({', '.join(map(literal, chosen.kept))})"]


def _of(chosen: Filters, table: str) -> list[str]:
    return [chosen.of_account(table)] if chosen.account else []


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''").replace("\0", "") + "'"


@lru_cache(maxsize=16)
def local_time(column: str, zone: tzinfo) -> str:
    """Return SQL for a time of the export in a zone; daylight saving is written out."""
    found = changes(zone, FIRST_YEAR, datetime.now(UTC).year + 1)
    last = found[-1][1]
    if len(found) == 1:
        return f"datetime({column}, '{last:+d} minutes')" if last else column
    cases = "".join(
        f"\n    when {column} < '{until:%Y-%m-%dT%H:%M}' then '{minutes:+d} minutes'"
        for until, minutes in found[:-1]
    )
    return f"datetime({column}, case{cases}\n    else '{last:+d} minutes' end)"
