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

parts as (

    select
        parts.*,
        {{ price_model('parts.model') }} as price_model,
        parts.input_tokens + parts.cache_write_tokens + parts.cache_read_tokens as context_tokens
    from {{ within_reach(ref('int_response_parts'), 'updated_run') }} as parts
    inner join changed on parts.session_id = changed.session_id

),

rated as (

    select
        parts.*,
        prices.price_source,
        prices.web_search_price,
        -- Fast mode has one price over the whole context window.
        case
            when parts.context_tokens > prices.long_from_tokens and not parts.is_fast
                then prices.long_from_tokens
        end as long_from_tokens,
        cast(
            case when parts.is_fast then prices.fast_multiplier else 1 end
            * case when parts.is_us_only then prices.us_multiplier else 1 end
            * case when parts.is_batch then prices.batch_multiplier else 1 end
            as decimal(10, 4)
        ) as multiplier,
    {%- for kind in kinds %}
        case
            when parts.context_tokens > prices.long_from_tokens and not parts.is_fast
                then prices.long_{{ kind }}_price
            else prices.{{ kind }}_price
        end as {{ kind }}_price{{ ',' if not loop.last }}
    {%- endfor %}
    from parts
    left join {{ ref('int_model_prices') }} as prices
        on
            parts.price_model = prices.price_model
            and coalesce(cast(parts.responded_at as date), date '9999-12-30') >= prices.valid_from
            and coalesce(cast(parts.responded_at as date), date '9999-12-30') < prices.valid_to

),

priced as (

    select
        *,
        {% for kind in kinds -%}
            {{ usd(kind ~ '_tokens', kind ~ '_price', 'multiplier') }} as {{ kind }}_usd,
        {% endfor -%}
        cast(web_search_requests * web_search_price as decimal(20, 10)) as web_search_usd,
        {{ usd('cache_read_tokens + cache_write_tokens', 'input_price', 'multiplier') }}
            as uncached_usd
    from rated

),

summed as (

    select
        response_key,
        count(*) as price_parts,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(web_search_requests) as web_search_requests,
        max(context_tokens) as context_tokens,
        max(long_from_tokens) as long_from_tokens,
        max(multiplier) as price_multiplier,
        max(price_model) as price_model,
        max(price_source) as price_source,
        max(input_price) as input_price,
        max(output_price) as output_price,
        max(cache_write_5m_price) as cache_write_5m_price,
        max(cache_write_1h_price) as cache_write_1h_price,
        max(cache_read_price) as cache_read_price,
        count(input_usd) = count(*) as is_priced,
        sum(input_usd) as input_usd,
        sum(output_usd) as output_usd,
        sum(cache_write_5m_usd) as cache_write_5m_usd,
        sum(cache_write_1h_usd) as cache_write_1h_usd,
        sum(cache_read_usd) as cache_read_usd,
        sum(web_search_usd) as web_search_usd,
        sum(uncached_usd) as uncached_usd
    from priced
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
        {%- for kind in kinds + ['web_search', 'uncached'] %}
            case when summed.is_priced then cast(summed.{{ kind }}_usd as decimal(20, 10)) end
                as {{ kind }}_usd,
        {%- endfor %}
        case
            when summed.is_priced
                then
                    cast(
                        summed.input_usd + summed.output_usd
                        + summed.cache_write_5m_usd + summed.cache_write_1h_usd
                        + summed.cache_read_usd + summed.web_search_usd
                        as decimal(20, 10)
                    )
        end as cost_usd,
        responses.logged_cost_usd,
        (
            select any_value(prices.price_list)
            from {{ ref('int_model_prices') }} as prices
        ) as price_list,

        -- times
        responses.responded_at,
        cast(responses.responded_at as date) as responded_on,
        responses.updated_run
    from {{ within_reach(ref('int_api_responses'), 'updated_run') }} as responses
    inner join changed on responses.session_id = changed.session_id
    left join summed on responses.response_key = summed.response_key
    left join {{ within_reach(ref('int_sessions_computed'), 'updated_run') }} as sessions
        on responses.session_id = sessions.session_id
    left join {{ within_reach(ref('int_threads'), 'updated_run') }} as threads
        on
            responses.session_id = threads.session_id
            and responses.entry_key = threads.entry_key

)

select * from final
