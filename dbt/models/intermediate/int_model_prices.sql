{{ config(materialized='table') }}

{#
    The price list as it is applied: the seed, or for a model that the user
    names in CCLAKE_PRICES (a csv with the seed's columns) the user's rows.
    Cache prices that a user leaves out follow from the input price.
#}
{%- set own_list = env_var('CCLAKE_PRICES', '') %}
{%- set columns = [
    'valid_from', 'valid_to', 'input', 'output', 'cache_write_5m', 'cache_write_1h',
    'cache_read', 'long_from_tokens', 'long_input', 'long_output', 'long_cache_write_5m',
    'long_cache_write_1h', 'long_cache_read', 'fast_multiplier', 'us_multiplier',
    'regional_multiplier', 'batch_multiplier', 'web_search_per_request'
] %}

with listed as (

    select * from {{ ref('model_prices') }}

),

own as (

    select
        {{ price_model('model') }} as model,
        {% for column in columns -%}
            {{ column }},
        {% endfor -%}
        source
    from (
        {{ own_prices(own_list) }}
    )

),

combined as (

    select *
    from listed
    where model not in (select own.model from own)
    union all
    select * from own

),

lines as (

    select
        model || ','
        {% for column in columns -%}
            || coalesce(cast({{ column }} as string), '') || ','
        {% endfor -%}
        || coalesce(source, '') as line
    from combined

)

select
    model as price_model,
    -- What was said before the list begins costs what the list began with.
    case
        when
            row_number() over (
                partition by model order by valid_from nulls first
            ) = 1
            then date '1970-01-01'
        else valid_from
    end as valid_from,
    -- A price ends where the next one of its model begins, said or not.
    {{ at_most(
        "coalesce(valid_to, date '9999-12-31')",
        "coalesce(
            lead(valid_from) over (partition by model order by valid_from nulls first),
            date '9999-12-31'
        )"
    ) }} as valid_to,
    input as input_price,
    output as output_price,
    cast(coalesce(cache_write_5m, input * 1.25) as decimal(12, 4)) as cache_write_5m_price,
    cast(coalesce(cache_write_1h, input * 2) as decimal(12, 4)) as cache_write_1h_price,
    cast(coalesce(cache_read, input * 0.1) as decimal(12, 4)) as cache_read_price,
    -- A limit without rates above it says nothing.
    case when long_input is not null and long_output is not null then long_from_tokens end
        as long_from_tokens,
    long_input as long_input_price,
    long_output as long_output_price,
    cast(coalesce(long_cache_write_5m, long_input * 1.25) as decimal(12, 4))
        as long_cache_write_5m_price,
    cast(coalesce(long_cache_write_1h, long_input * 2) as decimal(12, 4))
        as long_cache_write_1h_price,
    cast(coalesce(long_cache_read, long_input * 0.1) as decimal(12, 4)) as long_cache_read_price,
    fast_multiplier,
    cast(coalesce(us_multiplier, 1) as decimal(6, 3)) as us_multiplier,
    cast(coalesce(regional_multiplier, 1) as decimal(6, 3)) as regional_multiplier,
    cast(coalesce(batch_multiplier, 0.5) as decimal(6, 3)) as batch_multiplier,
    coalesce(web_search_per_request, 0.01) as web_search_price,
    coalesce(source, 'own price list') as price_source,
    -- Another list means that everything has to be priced again.
    md5(
        (
            select {{ text_of_all('lines.line', '|', 'lines.line') }}
            from lines
        )
    ) as price_list
from combined
