{{ config(materialized='table') }}

{# Few responses have items, so that all of them are made in each run. #}
{%- set kinds = [
    'input', 'output', 'cache_write_5m', 'cache_write_1h', 'cache_read'
] %}

with items as (

    select * from {{ ref('int_priced_parts') }}
    where is_item

),

responses as (

    select * from {{ ref('fct_api_responses') }}
    where price_parts > 1

)

select
    items.response_key,
    cast(items.part_no as integer) as item_no,
    responses.message_id,
    responses.session_id,
    responses.project_key,
    responses.host,
    responses.agent_id,
    responses.is_sidechain,
    responses.turn_number,

    -- what
    items.item_type,
    items.model,
    items.model_name,
    items.is_main,
    items.is_response,
    row_number() over (
        partition by items.response_key, items.model_name order by items.part_no
    ) = 1 as is_first_of_model,
    case when items.is_fast then 'fast' else 'standard' end as speed,
    items.is_us_only,
    items.is_batch,
    responses.usage_final,

    -- tokens
    {%- for kind in kinds + ['cache_write', 'context'] %}
        cast(items.{{ kind }}_tokens as bigint) as {{ kind }}_tokens,
    {%- endfor %}
    cast(
        items.input_tokens + items.output_tokens
        + items.cache_write_tokens + items.cache_read_tokens as bigint
    ) as total_tokens,
    cast(items.web_search_requests as bigint) as web_search_requests,

    -- price
    items.price_model,
    items.price_source,
    cast(items.long_from_tokens as bigint) as long_from_tokens,
    items.price_multiplier,
    {%- for kind in kinds %}
        items.{{ kind }}_price,
    {%- endfor %}
    {%- for kind in kinds + ['web_search', 'uncached', 'cost'] %}
        case when items.cost_usd is not null then cast(items.{{ kind }}_usd as decimal(20, 10)) end
            as {{ kind }}_usd,
    {%- endfor %}
    items.cost_usd is not null as is_priced,
    items.cost_usd is null
    and row_number() over (
        partition by items.response_key, items.cost_usd is null order by items.part_no
    ) = 1 as is_first_unpriced,

    -- times
    responses.responded_at,
    responses.price_list,
    responses.updated_run
from items
inner join responses on items.response_key = responses.response_key
