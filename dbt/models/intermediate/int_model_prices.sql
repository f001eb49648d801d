{{ config(materialized='table') }}

{#
    The price list as it is applied: the seed, or for a model that the user
    names in CCLAKE_PRICES (a csv with the seed's columns) the user's rows.
    Cache prices that a user leaves out follow from the input price.
#}
{%- set own_list = env_var('CCLAKE_PRICES', '') | replace("'", "''") -%}
{%- set has_own = false -%}
{%- if execute and own_list -%}
    {%- set found = run_query(
        "select count(*) from glob('" ~ own_list ~ "')"
    ) -%}
    {%- set has_own = found.columns[0].values()[0] > 0 -%}
{%- endif -%}
{%- set prices = [
    'input', 'output', 'cache_write_5m', 'cache_write_1h', 'cache_read',
    'long_input', 'long_output', 'long_cache_write_5m',
    'long_cache_write_1h', 'long_cache_read', 'web_search_per_request'
] -%}
{%- set multipliers = ['fast_multiplier', 'us_multiplier', 'batch_multiplier'] %}

with listed as (

    select * from {{ ref('model_prices') }}

),

{% if has_own -%}
own as (

    select *
    from
        (select * from listed where false)
    union all by name
    select
        model,
        {%- for name in prices + multipliers %}
        try_cast({{ name }} as decimal(12, 4)) as {{ name }},
        {%- endfor %}
        try_cast(valid_from as date) as valid_from,
        try_cast(valid_to as date) as valid_to,
        try_cast(long_from_tokens as bigint) as long_from_tokens,
        coalesce(source, 'own price list') as source
    from (
        select * from (
            select
                null::varchar as model, null::varchar as valid_from, null::varchar as valid_to, null::varchar as long_from_tokens, null::varchar as source
                {%- for name in prices + multipliers %}, null::varchar as {{ name }}{% endfor %}
            where false
        )
        union all by name
        select * from read_csv('{{ own_list }}', all_varchar = true, header = true)
    )

),
{%- endif %}

combined as (

    select * from listed
    {% if has_own -%}
    where model not in (select own.model from own)
    union all by name
    select * from own
    {%- endif %}

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
    coalesce(valid_to, date '9999-12-31') as valid_to,
    input as input_price,
    output as output_price,
    cast(coalesce(cache_write_5m, input * 1.25) as decimal(12, 4)) as cache_write_5m_price,
    cast(coalesce(cache_write_1h, input * 2) as decimal(12, 4)) as cache_write_1h_price,
    cast(coalesce(cache_read, input * 0.1) as decimal(12, 4)) as cache_read_price,
    long_from_tokens,
    long_input as long_input_price,
    long_output as long_output_price,
    cast(coalesce(long_cache_write_5m, long_input * 1.25) as decimal(12, 4)) as long_cache_write_5m_price,
    cast(coalesce(long_cache_write_1h, long_input * 2) as decimal(12, 4)) as long_cache_write_1h_price,
    cast(coalesce(long_cache_read, long_input * 0.1) as decimal(12, 4)) as long_cache_read_price,
    fast_multiplier,
    cast(coalesce(us_multiplier, 1) as decimal(6, 3)) as us_multiplier,
    cast(coalesce(batch_multiplier, 0.5) as decimal(6, 3)) as batch_multiplier,
    coalesce(web_search_per_request, 0.01) as web_search_price,
    source as price_source,
    -- Another list means that everything has to be priced again.
    md5(
        string_agg(combined::varchar, '|' order by combined::varchar) over ()
    ) as price_list
from combined
