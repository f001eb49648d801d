{{ config(materialized='view') }}

{# What the cache saved: reads at their price against the same tokens as input. #}

select
    {{ quarter_day() }} as date_day,
    coalesce(model, '') as model,
    project_key,
    cast(sum(api_responses) as integer) as api_responses,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(cache_write_tokens), 0) as bigint) as cache_write_tokens,
    cast(coalesce(sum(cache_read_tokens), 0) as bigint) as cache_read_tokens,
    -- Share of all that was sent that came from the cache.
    cast(sum(cache_read_tokens) as double)
    / nullif(sum(input_tokens + cache_write_tokens + cache_read_tokens), 0) as hit_rate,
    cast(sum(cache_write_5m_usd + cache_write_1h_usd) as decimal(20, 10)) as write_usd,
    cast(sum(cache_read_usd) as decimal(20, 10)) as read_usd,
    cast(sum(uncached_usd) as decimal(20, 10)) as uncached_usd,
    cast(
        sum(uncached_usd - cache_read_usd - cache_write_5m_usd - cache_write_1h_usd)
        as decimal(20, 10)
    ) as saved_usd
from {{ ref('agg_response_quarters') }}
where quarter_no is not null
group by {{ quarter_day() }}, coalesce(model, ''), project_key
