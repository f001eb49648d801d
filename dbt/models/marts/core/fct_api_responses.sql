{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{%- set kinds = [
    'input', 'output', 'cache_write_5m', 'cache_write_1h', 'cache_read'
] %}

with changed as (

    {{ changed_sessions(
        also=kept_prices(this) ~ ' <> ' ~ kept_prices(ref('int_model_prices'))
    ) }}

),

int_priced_parts as {{ inlined() }} (

    {{ within_reach(ref('int_priced_parts'), 'updated_run') }}

),

int_api_responses as {{ inlined() }} (

    {{ within_reach(ref('int_api_responses'), 'updated_run') }}

),

int_sessions_computed as {{ inlined() }} (

    {{ within_reach(ref('int_sessions_computed'), 'updated_run') }}

),

int_threads as {{ inlined() }} (

    {{ within_reach(ref('int_threads'), 'updated_run') }}

),

parts as (

    select parts.*
    from int_priced_parts as parts
    inner join changed on parts.session_id = changed.session_id

),

{# Where a response has several parts, prices and context are those of its main model. #}
summed as (

    select
        response_key,
        count(*) as price_parts,
        count(cost_usd) = count(*) as is_priced,
        {% for kind in kinds + ['cache_write'] -%}
            sum({{ kind }}_tokens) as {{ kind }}_tokens,
        {% endfor -%}
        sum(web_search_requests) as web_search_requests,
        max(long_from_tokens) as long_from_tokens,
        coalesce(
            max(context_tokens) filter (where is_main), max(context_tokens)
        ) as context_tokens,
        min(price_model) filter (where is_response) as price_model,
        min(price_source) filter (where is_response) as price_source,
        min(price_multiplier) filter (where is_response) as price_multiplier,
        {% for kind in kinds -%}
            min({{ kind }}_price) filter (where is_response) as {{ kind }}_price,
        {% endfor -%}
        {% for kind in kinds + ['web_search', 'uncached'] -%}
            sum({{ kind }}_usd) filter (where cost_usd is not null) as {{ kind }}_usd,
        {% endfor -%}
        sum(cost_usd) as cost_usd
    from parts
    group by response_key

),

final as (

    select
        -- ids
        responses.response_key,
        responses.message_id,
        responses.request_id,
        responses.session_id,
        sessions.project_key,
        responses.host,
        coalesce(responses.agent_id, threads.agent_id) as agent_id,
        responses.entry_key,
        threads.turn_number,

        -- what
        responses.model,
        coalesce(names.model_name, responses.model) as model_name,
        responses.stop_reason,
        case when responses.is_fast then 'fast' else 'standard' end as speed,
        responses.service_tier,
        responses.is_us_only,
        responses.is_sidechain,
        coalesce(
            responses.stop_reason is not null
            or {{ usage_is_final('responses.version_number') }},
            false
        ) as usage_final,
        responses.found_in = 'progress' as is_from_progress,
        cast(responses.records as integer) as records,
        cast(responses.sessions as integer) as sessions,

        -- tokens
        cast(summed.input_tokens as bigint) as input_tokens,
        cast(summed.output_tokens as bigint) as output_tokens,
        cast(summed.cache_write_5m_tokens as bigint) as cache_write_5m_tokens,
        cast(summed.cache_write_1h_tokens as bigint) as cache_write_1h_tokens,
        cast(summed.cache_write_tokens as bigint) as cache_write_tokens,
        cast(summed.cache_read_tokens as bigint) as cache_read_tokens,
        cast(
            summed.input_tokens + summed.output_tokens
            + summed.cache_write_tokens + summed.cache_read_tokens as bigint
        ) as total_tokens,
        cast(summed.context_tokens as bigint) as context_tokens,
        cast(summed.web_search_requests as bigint) as web_search_requests,

        -- price
        summed.price_model,
        summed.price_source,
        cast(coalesce(summed.price_parts, 0) as integer) as price_parts,
        summed.long_from_tokens is not null as is_long_context,
        cast(summed.long_from_tokens as bigint) as long_from_tokens,
        summed.price_multiplier,
        summed.input_price,
        summed.output_price,
        summed.cache_write_5m_price,
        summed.cache_write_1h_price,
        summed.cache_read_price,
        {%- for kind in kinds + ['web_search', 'uncached', 'cost'] %}
            cast(summed.{{ kind }}_usd as decimal(20, 10)) as {{ kind }}_usd,
        {%- endfor %}
        coalesce(summed.is_priced, false) as is_priced,
        responses.logged_cost_usd,
        (
            select any_value(prices.price_list)
            from {{ ref('int_model_prices') }} as prices
        ) as price_list,

        -- times
        responses.responded_at,
        cast(responses.responded_at as date) as responded_on,
        responses.updated_run
    from int_api_responses as responses
    inner join changed on responses.session_id = changed.session_id
    left join summed on responses.response_key = summed.response_key
    left join {{ ref('int_model_names') }} as names on responses.model = names.model
    left join int_sessions_computed as sessions
        on responses.session_id = sessions.session_id
    left join int_threads as threads
        on
            responses.session_id = threads.session_id
            and responses.entry_key = threads.entry_key

)

select * from final
