{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

{#
    Sums of API responses: the aggregates over days, models and projects are made
    of these few rows, and not of all responses. The items of a response belong to
    their models; the response itself is counted once, with its main model.
#}
{%- set columns = [
    'session_id', 'project_key', 'host', 'responded_at', 'usage_final',
    'input_tokens', 'output_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
    'cache_write_tokens', 'cache_read_tokens', 'total_tokens', 'input_usd', 'output_usd',
    'cache_write_5m_usd', 'cache_write_1h_usd', 'cache_read_usd', 'web_search_usd',
    'uncached_usd', 'cost_usd', 'price_list', 'updated_run'
] %}

with parts as (

    select
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        model_name as model,
        true as is_response,
        true as is_first_of_model,
        not is_priced as is_first_unpriced
    from {{ ref('fct_api_responses') }} as facts
    where price_parts < 2 and {{ newer('facts', priced=true) }}
    union all
    select
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        model_name as model,
        is_response,
        is_first_of_model,
        is_first_unpriced
    from {{ ref('fct_response_items') }} as facts
    where {{ newer('facts', priced=true) }}

)

select
    session_id,
    project_key,
    host,
    model,
    date_trunc('hour', responded_at) as responded_hour,
    cast(count(*) filter (where is_response) as integer) as api_responses,
    cast(count(*) filter (where is_first_of_model) as integer) as model_responses,
    cast(
        count(*) filter (where is_first_unpriced) as integer
    ) as unpriced_responses,
    cast(count(*) filter (where is_response and usage_final) as integer) as final_responses,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(cache_write_5m_tokens) as bigint) as cache_write_5m_tokens,
    cast(sum(cache_write_1h_tokens) as bigint) as cache_write_1h_tokens,
    cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
    cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(
        sum(input_tokens + cache_write_tokens + cache_read_tokens) as bigint
    ) as context_tokens,
    cast(sum(input_usd) as decimal(20, 10)) as input_usd,
    cast(sum(output_usd) as decimal(20, 10)) as output_usd,
    cast(sum(cache_write_5m_usd) as decimal(20, 10)) as cache_write_5m_usd,
    cast(sum(cache_write_1h_usd) as decimal(20, 10)) as cache_write_1h_usd,
    cast(sum(cache_read_usd) as decimal(20, 10)) as cache_read_usd,
    cast(sum(web_search_usd) as decimal(20, 10)) as web_search_usd,
    cast(sum(cost_usd) as decimal(20, 10)) as cost_usd,
    cast(sum(cache_write_5m_usd + cache_write_1h_usd) as decimal(20, 10)) as cache_write_usd,
    cast(sum(uncached_usd) as decimal(20, 10)) as uncached_usd,
    cast(
        sum(
            uncached_usd
            - cache_read_usd - cache_write_5m_usd - cache_write_1h_usd
        ) as decimal(20, 10)
    ) as saved_usd,
    min(responded_at) as first_responded_at,
    max(responded_at) as last_responded_at,
    any_value(price_list) as price_list,
    max(updated_run) as updated_run
from parts
group by session_id, project_key, host, model, responded_hour
