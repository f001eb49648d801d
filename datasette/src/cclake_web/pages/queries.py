"""The SQL behind the charts, as it can be run on the export."""

QUERIES = {
    "cost_by_day_and_model": """\
select substr(responded_at, 1, 10) as day, model,
    count(*) as responses, round(sum(cost_usd), 4) as cost_usd,
    sum(cost_usd is null) as unpriced
from fct_api_responses
group by day, model
order by day desc, cost_usd desc""",
    "tokens_by_day": """\
select substr(responded_at, 1, 10) as day, sum(input_tokens) as input,
    sum(cache_write_tokens) as cache_written, sum(cache_read_tokens) as cache_read,
    sum(output_tokens) as output, sum(usage_final) as final, count(*) as responses
from fct_api_responses
group by day
order by day desc""",
    "hours": """\
select strftime('%w', responded_at) as weekday,
    substr(responded_at, 12, 2) as hour_utc, count(*) as responses
from fct_api_responses
group by weekday, hour_utc
order by weekday, hour_utc""",
    "cache": """\
select substr(responded_at, 1, 10) as day,
    round(1.0 * sum(cache_read_tokens) / sum(
        input_tokens + cache_write_tokens + cache_read_tokens), 4) as hit_ratio
from fct_api_responses
group by day
order by day desc""",
    "context": """\
select substr(responded_at, 1, 10) as day,
    round(avg(input_tokens + cache_write_tokens + cache_read_tokens)) as mean_context,
    max(input_tokens + cache_write_tokens + cache_read_tokens) as largest_context
from fct_api_responses
group by day
order by day desc""",
    "subagents": """\
select substr(responded_at, 1, 10) as day, is_sidechain,
    round(sum(cost_usd), 4) as cost_usd, count(*) as responses
from fct_api_responses
group by day, is_sidechain
order by day desc""",
    "projects": """\
select r.project_key, p.project_name, round(sum(r.cost_usd), 4) as cost_usd,
    count(*) as responses, sum(r.cost_usd is null) as unpriced
from fct_api_responses r
left join dim_projects p on p.project_key = r.project_key
group by r.project_key
order by cost_usd desc""",
    "models": """\
select model, count(*) as responses, sum(output_tokens) as output,
    round(1.0 * sum(usage_final) / count(*), 4) as share_final,
    round(sum(cost_usd), 4) as cost_usd, sum(cost_usd is null) as unpriced
from fct_api_responses
group by model
order by cost_usd desc""",
    "tools": """\
select tool_name, count(*) as calls, sum(is_error) as errors,
    round(100.0 * sum(is_error) / count(*), 1) as error_percent,
    round(avg(duration_ms)) as mean_ms
from fct_tool_calls
group by tool_name
order by calls desc""",
    "errors": """\
select coalesce(error_kind, 'other') as error_kind, tool_name, count(*) as errors
from fct_tool_calls
where is_error = 1
group by 1, 2
order by errors desc""",
    "blocks": """\
select substr(responded_at, 1, 13) || ':00' as hour_utc,
    count(*) as responses, round(sum(cost_usd), 4) as cost_usd
from fct_api_responses
group by hour_utc
order by hour_utc desc""",
}
