{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

{#
    Sums of API responses: the dashboard, the reports and the aggregates over days,
    models and projects are made of these few rows, and not of all responses. The items
    of a response belong to their models; the response itself is counted once, with its
    main model.
#}
{%- set columns = [
    'session_id', 'project_key', 'host', 'model_name', 'is_sidechain', 'responded_at',
    'usage_final', 'is_priced', 'input_tokens', 'output_tokens', 'cache_write_5m_tokens',
    'cache_write_1h_tokens', 'cache_write_tokens', 'cache_read_tokens', 'total_tokens',
    'input_usd', 'output_usd', 'cache_write_5m_usd', 'cache_write_1h_usd',
    'cache_read_usd', 'web_search_usd', 'uncached_usd', 'cost_usd', 'price_list',
    'updated_run'
] %}

with parts as (

    select
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        model as logged_model,
        context_tokens as main_context_tokens,
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
        model as logged_model,
        case when is_main then context_tokens end as main_context_tokens,
        is_response,
        is_first_of_model,
        is_first_unpriced
    from {{ ref('fct_response_items') }} as facts
    where {{ newer('facts', priced=true) }}

)

select
    {{ quarter_no('parts.responded_at') }} as quarter_no,
    parts.session_id,
    parts.project_key,
    parts.host,
    sessions.git_branch,
    parts.model_name as model,
    parts.logged_model,
    coalesce(parts.is_sidechain, false) as is_sidechain,
    cast(count(*) filter (where parts.is_response) as integer) as api_responses,
    cast(count(*) filter (where parts.is_first_of_model) as integer) as model_responses,
    cast(count(*) filter (where parts.is_first_unpriced) as integer) as unpriced_responses,
    cast(
        count(*) filter (
            where parts.is_first_of_model and not parts.is_priced
        ) as integer
    ) as unpriced_model_responses,
    cast(
        count(*) filter (
            where parts.is_response and parts.input_tokens is null
        ) as integer
    ) as uncounted_responses,
    cast(
        count(*) filter (where parts.is_response and parts.usage_final) as integer
    ) as final_responses,
    cast(
        count(*) filter (
            where parts.is_response and parts.usage_final and parts.input_tokens is not null
        ) as integer
    ) as final_counted_responses,
    cast(max(parts.main_context_tokens) as bigint) as max_context_tokens,
    {% for kind in [
        'input', 'output', 'cache_write', 'cache_read', 'total', 'cache_write_5m',
        'cache_write_1h'
    ] -%}
        cast(sum(parts.{{ kind }}_tokens) as bigint) as {{ kind }}_tokens,
    {% endfor -%}
    {% for kind in [
        'cost', 'input', 'output', 'cache_write_5m', 'cache_write_1h', 'cache_read',
        'web_search', 'uncached'
    ] -%}
        cast(sum(parts.{{ kind }}_usd) as decimal(20, 10)) as {{ kind }}_usd,
    {% endfor -%}
    min(parts.responded_at) as first_responded_at,
    max(parts.responded_at) as last_responded_at,
    any_value(parts.price_list) as price_list,
    max(parts.updated_run) as updated_run
from parts
left join {{ ref('int_sessions_computed') }} as sessions
    on parts.session_id = sessions.session_id
group by
    {{ quarter_no('parts.responded_at') }}, parts.session_id, parts.project_key, parts.host,
    sessions.git_branch, parts.model_name, parts.logged_model,
    coalesce(parts.is_sidechain, false)
