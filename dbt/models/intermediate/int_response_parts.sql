{{ config(materialized='view') }}

{#
    What is priced together: a response, or each iteration of a response that
    fell back to another model. Its top-level counters are only the last of them.
#}
{%- set paths = [
    'model', 'input_tokens', 'output_tokens', 'cache_creation_input_tokens',
    'cache_creation.ephemeral_5m_input_tokens',
    'cache_creation.ephemeral_1h_input_tokens', 'cache_read_input_tokens'
] %}

with whole as (

    select
        response_key,
        session_id,
        updated_run,
        1 as part_no,
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
        unnest(
            generate_series(1, cast(json_array_length(iterations) as bigint))
        ) as part_no,
        unnest(json_extract(iterations, '$[*]')) as item
    from {{ ref('int_api_responses') }}
    where iterations is not null

),

picked as (

    select
        *,
        {{ json_strings('item', paths) }} as f
    from items

),

iterations as (

    select
        response_key,
        session_id,
        updated_run,
        part_no,
        coalesce(nullif({{ picked('f', paths, 'model') }}, ''), model) as model,
        responded_at,
        is_fast,
        is_us_only,
        is_batch,
        {{ tokens(picked('f', paths, 'input_tokens')) }} as input_tokens,
        {{ tokens(picked('f', paths, 'output_tokens')) }} as output_tokens,
        {{ tokens(picked('f', paths, 'cache_creation_input_tokens')) }} as cache_write_flat_tokens,
        {{ tokens(picked('f', paths, 'cache_creation.ephemeral_5m_input_tokens')) }}
            as cache_write_5m_tokens,
        {{ tokens(picked('f', paths, 'cache_creation.ephemeral_1h_input_tokens')) }}
            as cache_write_1h_tokens,
        {{ tokens(picked('f', paths, 'cache_read_input_tokens')) }} as cache_read_tokens,
        case when part_no = 1 then web_search_requests end as web_search_requests
    from picked

),

parts as (

    select * from whole
    union all
    select * from iterations

),

filled as (

    select
        * exclude (
            input_tokens, output_tokens, cache_read_tokens,
            cache_write_flat_tokens, cache_write_5m_tokens,
            cache_write_1h_tokens, web_search_requests
        ),
        coalesce(input_tokens, 0) as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        coalesce(cache_read_tokens, 0) as cache_read_tokens,
        coalesce(web_search_requests, 0) as web_search_requests,
        coalesce(cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        greatest(
            coalesce(cache_write_flat_tokens, 0),
            coalesce(cache_write_5m_tokens, 0)
            + coalesce(cache_write_1h_tokens, 0)
        ) as cache_write_tokens
    from parts

)

select
    *,
    -- What is not known to live for an hour is priced as five minutes.
    cache_write_tokens - cache_write_1h_tokens as cache_write_5m_tokens
from filled
