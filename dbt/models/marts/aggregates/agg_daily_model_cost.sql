{{ config(materialized='view') }}

select
    {{ quarter_day() }} as date_day,
    coalesce(model, '') as model,
    project_key,
    host,
    cast(sum(api_responses) as integer) as api_responses,
    cast(sum(model_responses) as integer) as model_responses,
    cast(
        sum(unpriced_responses) as integer
    ) as unpriced_responses,
    cast(sum(final_responses) as integer) as final_responses,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(cache_write_5m_tokens), 0) as bigint) as cache_write_5m_tokens,
    cast(coalesce(sum(cache_write_1h_tokens), 0) as bigint) as cache_write_1h_tokens,
    cast(coalesce(sum(cache_write_tokens), 0) as bigint) as cache_write_tokens,
    cast(coalesce(sum(cache_read_tokens), 0) as bigint) as cache_read_tokens,
    cast(coalesce(sum(total_tokens), 0) as bigint) as total_tokens,
    cast(sum(input_usd) as decimal(20, 10)) as input_usd,
    cast(sum(output_usd) as decimal(20, 10)) as output_usd,
    cast(sum(cache_write_5m_usd + cache_write_1h_usd) as decimal(20, 10)) as cache_write_usd,
    cast(sum(cache_read_usd) as decimal(20, 10)) as cache_read_usd,
    cast(sum(web_search_usd) as decimal(20, 10)) as web_search_usd,
    cast(sum(cost_usd) as decimal(20, 10)) as cost_usd
from {{ ref('agg_response_quarters') }}
where quarter_no is not null
group by {{ quarter_day() }}, coalesce(model, ''), project_key, host
