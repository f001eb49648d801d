"""Named SQL queries for the most frequent questions."""

from cclake_web.pages.queries import QUERIES, sql_of

_TITLES = {
    "cost_by_day_and_model": "Cost by day and model",
    "days": "Cost, responses and sessions by day",
    "tokens_by_day": "Tokens by day",
    "hours": "Responses by weekday and hour",
    "cache": "Cache hit ratio by day",
    "context": "Context of a response by day",
    "subagents": "Cost of subagents by day",
    "projects": "Cost by project",
    "models": "Models, and how final their counts are",
    "tools": "Tools, their errors and durations",
    "errors": "Errors by kind and tool",
    "dearest_prompts": "The most expensive prompts",
    "blocks": "Responses and cost by hour",
}
_MORE = {
    "dearest_sessions": (
        "The most expensive sessions",
        """\
select s.title, p.project_name, s.started_at, m.turns, m.tool_calls,
    m.total_tokens, round(m.cost_usd, 4) as cost_usd, s.session_id
from agg_session_metrics m
join dim_sessions s on s.session_id = m.session_id
left join dim_projects p on p.project_key = s.project_key
order by m.cost_usd desc
limit 100""",
    ),
    "cost_by_month": (
        "Cost and tokens by month",
        """\
select substr(responded_at, 1, 7) as month, count(*) as responses,
    sum(input_tokens + cache_write_tokens + cache_read_tokens) as input,
    sum(output_tokens) as output, round(sum(cost_usd), 2) as cost_usd,
    sum(not is_priced and input_tokens is not null) as unpriced,
    sum(input_tokens is null) as uncounted
from fct_api_responses
group by month
order by month desc""",
    ),
    "unpriced_models": (
        "Models without a known price",
        """\
select model, sum(responses) as responses, sum(tokens) as tokens,
    min(first_seen) as first_seen, max(last_seen) as last_seen
from (
    select model_name as model, count(*) as responses, sum(total_tokens) as tokens,
        min(responded_at) as first_seen, max(responded_at) as last_seen
    from fct_api_responses
    where not is_priced and input_tokens is not null and price_parts < 2
    group by 1
    union all
    select model_name, sum(is_first_of_model), sum(total_tokens),
        min(responded_at), max(responded_at)
    from fct_response_items
    where not is_priced
    group by 1)
group by model
order by responses desc""",
    ),
    "prompts_about": (
        "Prompts that hold some words",
        """\
select d.said_at, s.title, substr(d.text, 1, 300) as prompt, d.session_id
from search_fts f
join search_documents d on d.search_id = f.rowid
left join dim_sessions s on s.session_id = d.session_id
where search_fts match 'text : (' || search_words(:words) || ')'
and d.message_kind = 'prompt' and d.block_kind = 'text'
order by f.rowid desc
limit 200""",
    ),
    "failed_sessions": (
        "Sessions with most failed calls",
        """\
select s.title, m.tool_errors, m.api_errors, m.tool_calls, s.started_at, s.session_id
from agg_session_metrics m
join dim_sessions s on s.session_id = m.session_id
where m.tool_errors + m.api_errors > 0
order by m.tool_errors + m.api_errors desc
limit 100""",
    ),
}


def canned() -> dict[str, dict[str, str]]:
    """Return the queries in the form that Datasette expects."""
    found = {name: {"sql": sql_of(name), "title": _TITLES[name]} for name in QUERIES}
    found |= {
        name: {"sql": sql, "title": title} for name, (title, sql) in _MORE.items()
    }
    return dict(sorted(found.items(), key=lambda pair: pair[1]["title"]))
