{{ config(materialized='view') }}

{# Each part with the prices of its model at its time, and what it costs. #}
{%- set kinds = [
    'input', 'output', 'cache_write_5m', 'cache_write_1h', 'cache_read'
] %}

with parts as (

    select
        parts.*,
        coalesce(names.price_model, lower(parts.model)) as price_model,
        coalesce(names.model_name, parts.model) as model_name,
        coalesce(names.is_named_fast, false) as is_named_fast,
        coalesce(names.is_regional, false) as is_regional,
        parts.input_tokens + parts.cache_write_tokens + parts.cache_read_tokens as context_tokens
    from {{ ref('int_response_parts') }} as parts
    left join {{ ref('int_model_names') }} as names on parts.model = names.model

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
            case
                when not parts.is_fast then 1
                -- A name may say fast where the model has no such mode.
                when parts.is_named_fast then coalesce(prices.fast_multiplier, 1)
                else prices.fast_multiplier
            end
            * case
                when parts.is_regional then prices.regional_multiplier
                when parts.is_us_only then prices.us_multiplier
                else 1
            end
            * case when parts.is_batch then prices.batch_multiplier else 1 end
            as decimal(10, 4)
        ) as price_multiplier,
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
            {{ usd(kind ~ '_tokens', kind ~ '_price', 'price_multiplier') }} as {{ kind }}_usd,
        {% endfor -%}
        case
            when input_price * price_multiplier is not null
                then cast(web_search_requests * web_search_price as decimal(20, 10))
        end as web_search_usd,
        {{ usd('cache_read_tokens + cache_write_tokens', 'input_price', 'price_multiplier') }}
            as uncached_usd
    from rated

)

select
    response_key,
    session_id,
    updated_run,
    part_no,
    is_item,
    is_main,
    is_response,
    item_type,
    model,
    model_name,
    responded_at,
    is_fast,
    is_us_only,
    is_batch,
    {% for kind in kinds + ['cache_write', 'context'] -%}
        {{ kind }}_tokens,
    {% endfor -%}
    web_search_requests,
    price_model,
    price_source,
    long_from_tokens,
    price_multiplier,
    {% for kind in kinds -%}
        {{ kind }}_price,
    {% endfor -%}
    {% for kind in kinds + ['web_search', 'uncached'] -%}
        {{ kind }}_usd,
    {% endfor -%}
    cast(
        input_usd + output_usd + cache_write_5m_usd + cache_write_1h_usd
        + cache_read_usd + web_search_usd
        as decimal(20, 10)
    ) as cost_usd
from priced
