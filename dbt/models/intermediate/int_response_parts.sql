{{ config(materialized='view') }}

{#
    What is priced together: a response, or each item of a response that has several.
    An item may be a step of the model that answers, an advisor that it asked, or a try
    of a model that it fell back from.
#}
{%- set paths = [
    'type', 'model', 'input_tokens', 'output_tokens', 'cache_creation_input_tokens',
    'cache_creation.ephemeral_5m_input_tokens',
    'cache_creation.ephemeral_1h_input_tokens', 'cache_read_input_tokens',
    'speed', 'inference_geo', 'service_tier'
] %}

with whole as (

    select
        response_key,
        session_id,
        updated_run,
        1 as part_no,
        false as is_item,
        true as is_main,
        true as is_response,
        cast(null as string) as item_type,
        model,
        responded_at,
        is_fast,
        is_us_only,
        is_batch,
        input_tokens,
        output_tokens,
        cache_write_flat_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        web_search_requests
    from {{ ref('int_api_responses') }}
    where iterations is null and has_usage

),

items as (

    select
        *,
        {{ each('listed', 'item', 'part_no') }}
    from (
        select
            *,
            {{ json_elements('iterations', '$[*]') }} as listed
        from {{ ref('int_api_responses') }}
        where iterations is not null
    ) as responses

),

picked as (

    select
        *,
        {{ json_strings('item', paths) }} as f
    from items

),

{# The main model is the one that the response names: the one that answered. #}
attributed as (

    select
        picked.*,
        coalesce(
            {{ scalar(picked('picked.f', paths, 'model')) }}, picked.model
        ) as item_model,
        coalesce({{ picked('picked.f', paths, 'type') }}, '') <> 'advisor_message'
        and (
            {{ scalar(picked('picked.f', paths, 'model')) }} is null
            or picked.model is null
            or coalesce(
                item_names.price_model, {{ scalar(picked('picked.f', paths, 'model')) }}
            ) = coalesce(main_names.price_model, picked.model)
        ) as is_main
    from picked
    left join {{ ref('int_model_names') }} as main_names
        on picked.model = main_names.model
    left join {{ ref('int_model_names') }} as item_names
        on {{ picked('picked.f', paths, 'model') }} = item_names.model

),

{# One item stands for the response: the first one of the main model. #}
ranked as (

    select
        *,
        row_number() over (
            partition by response_key order by is_main desc, part_no asc
        ) = 1 as is_response
    from attributed

),

{# Speed, place and batch of another model are those of its item alone. #}
iterations as (

    select
        response_key,
        session_id,
        updated_run,
        part_no,
        true as is_item,
        is_main,
        is_response,
        coalesce({{ picked('f', paths, 'type') }}, 'message') as item_type,
        item_model as model,
        responded_at,
        coalesce({{ picked('f', paths, 'speed') }} = 'fast', is_main and is_fast) as is_fast,
        coalesce(
            {{ picked('f', paths, 'inference_geo') }} = 'us', is_main and is_us_only
        ) as is_us_only,
        coalesce(
            {{ picked('f', paths, 'service_tier') }} = 'batch', is_main and is_batch
        ) as is_batch,
        {{ tokens(picked('f', paths, 'input_tokens')) }} as input_tokens,
        {{ tokens(picked('f', paths, 'output_tokens')) }} as output_tokens,
        {{ tokens(picked('f', paths, 'cache_creation_input_tokens')) }} as cache_write_flat_tokens,
        {{ tokens(picked('f', paths, 'cache_creation.ephemeral_5m_input_tokens')) }}
            as cache_write_5m_tokens,
        {{ tokens(picked('f', paths, 'cache_creation.ephemeral_1h_input_tokens')) }}
            as cache_write_1h_tokens,
        {{ tokens(picked('f', paths, 'cache_read_input_tokens')) }} as cache_read_tokens,
        -- Searches are counted for the response as a whole.
        case when is_response then web_search_requests end as web_search_requests
    from ranked

),

parts as (

    select * from whole
    union all
    select * from iterations

),

filled as (

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
        responded_at,
        is_fast,
        is_us_only,
        is_batch,
        coalesce(input_tokens, 0) as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        coalesce(cache_read_tokens, 0) as cache_read_tokens,
        coalesce(web_search_requests, 0) as web_search_requests,
        coalesce(cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        {{ at_least(
            'coalesce(cache_write_flat_tokens, 0)',
            'coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)'
        ) }} as cache_write_tokens
    from parts

)

select
    *,
    -- What is not known to live for an hour is priced as five minutes.
    cache_write_tokens - cache_write_1h_tokens as cache_write_5m_tokens
from filled
