{{ config(materialized='table') }}

select
    tool_name,
    any_value(tool_category) as category,
    cast(count(*) as integer) as calls,
    cast(count(*) filter (where has_result) as integer) as answered_calls,
    cast(count(*) filter (where is_error) as integer) as failed_calls,
    cast(count(*) filter (where error_kind = 'denied') as integer) as denied_calls,
    cast(count(*) filter (where is_retried) as integer) as retried_calls,
    -- Of the calls that were answered; null where none was.
    cast(count(*) filter (where is_error) as double)
    / nullif(count(*) filter (where has_result), 0) as failure_rate,
    cast(count(distinct session_id) as integer) as sessions,
    {{ quantile('duration_ms', 0.5) }} as median_ms,
    {{ quantile('duration_ms', 0.95) }} as p95_ms,
    cast(sum(duration_ms) as bigint) as total_ms,
    min(called_at) as first_used_at,
    max(called_at) as last_used_at
from {{ ref('fct_tool_calls') }}
group by tool_name
