{{ config(materialized='table') }}

{#
    The five-hour windows of a subscription: the first response after a window
    has ended opens the next one, at the full hour before it.
#}

with recursive hours as (

    select distinct date_trunc('hour', responded_at) as hour_start
    from {{ ref('fct_api_responses') }}
    where responded_at is not null

),

{# A window can only begin at such an hour; where would the next one begin? #}
links as (

    select
        hour_start,
        min(hour_start) over (
            order by hour_start
            range between interval 5 hours following and unbounded following
        ) as next_start
    from hours

),

walk as (

    select min(hour_start) as block_start
    from hours
    having min(hour_start) is not null
    union all
    select links.next_start as block_start
    from walk
    inner join links on walk.block_start = links.hour_start
    where links.next_start is not null

),

blocks as (

    select
        block_start,
        block_start + interval 5 hour as block_end
    from walk

),

responses as (

    select
        blocks.block_start,
        blocks.block_end,
        facts.*
    from {{ ref('fct_api_responses') }} as facts
    inner join blocks
        on
            facts.responded_at >= blocks.block_start
            and facts.responded_at < blocks.block_end

),

summed as (

    select
        block_start,
        block_end,
        min(responded_at) as first_response_at,
        max(responded_at) as last_response_at,
        count(*) as api_responses,
        count(*) filter (where cost_usd is null) as unpriced_responses,
        count(distinct session_id) as sessions,
        string_agg(distinct model, ', ' order by model) as models,
        coalesce(sum(input_tokens), 0) as input_tokens,
        coalesce(sum(output_tokens), 0) as output_tokens,
        coalesce(sum(cache_write_tokens), 0) as cache_write_tokens,
        coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
        coalesce(sum(total_tokens), 0) as total_tokens,
        sum(cost_usd) as cost_usd
    from responses
    group by block_start, block_end

),

timed as (

    select
        *,
        (epoch_ms(last_response_at) - epoch_ms(first_response_at)) / 60000.0 as active_minutes
    from summed

)

select
    block_start,
    block_end,
    first_response_at,
    last_response_at,
    cast(api_responses as integer) as api_responses,
    cast(unpriced_responses as integer) as unpriced_responses,
    cast(sessions as integer) as sessions,
    models,
    cast(input_tokens as bigint) as input_tokens,
    cast(output_tokens as bigint) as output_tokens,
    cast(cache_write_tokens as bigint) as cache_write_tokens,
    cast(cache_read_tokens as bigint) as cache_read_tokens,
    cast(total_tokens as bigint) as total_tokens,
    cast(cost_usd as decimal(20, 10)) as cost_usd,
    cast(active_minutes as double) as active_minutes,
    -- Burn rate over the time between the first and the last response.
    cast(total_tokens / nullif(active_minutes, 0) as double) as tokens_per_minute,
    cast(cast(cost_usd as double) / nullif(active_minutes, 0) * 60 as double) as usd_per_hour
from timed
