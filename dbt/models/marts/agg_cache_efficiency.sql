{{ config(materialized='table') }}

{# What the cache saved: reads at their price against the same tokens as input. #}

select
    responded_on as date_day,
    coalesce(model, '') as model,
    project_key,
    cast(count(*) as integer) as api_responses,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(cache_write_tokens), 0) as bigint) as cache_write_tokens,
    cast(coalesce(sum(cache_read_tokens), 0) as bigint) as cache_read_tokens,
    -- Share of all that was sent that came from the cache.
    sum(cache_read_tokens) * 1.0 / nullif(sum(context_tokens), 0) as hit_rate,
    cast(sum(cache_write_5m_usd + cache_write_1h_usd) as decimal(20, 10)) as write_usd,
    cast(sum(cache_read_usd) as decimal(20, 10)) as read_usd,
    cast(
        sum({{ usd('cache_read_tokens + cache_write_tokens', 'input_price', 'price_multiplier') }})
        as decimal(20, 10)
    ) as uncached_usd,
    cast(
        sum(
            {{ usd('cache_read_tokens + cache_write_tokens', 'input_price', 'price_multiplier') }}
            - cache_read_usd - cache_write_5m_usd - cache_write_1h_usd
        ) as decimal(20, 10)
    ) as saved_usd
from {{ ref('fct_api_responses') }}
where responded_on is not null
group by responded_on, coalesce(model, ''), project_key
