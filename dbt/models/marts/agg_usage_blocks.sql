{{ config(materialized='table') }}

{#
    The five-hour windows of a subscription: the first response after a window
    has ended opens the next one, at the full hour before it.
#}

with recursive hours as (

    select distinct responded_hour as hour_start
    from {{ ref('agg_response_hours') }}
    where responded_hour is not null

),

{#
    A window can only begin at such an hour, and after five hours without a
    response one does: all stretches between such pauses are walked at once.
#}
links as (

    select
        hour_start,
        min(hour_start) over (
            order by hour_start
            range between interval 5 hours following and unbounded following
        ) as next_start,
        coalesce(
            hour_start - lag(hour_start) over (order by hour_start) >= interval 5 hours, true
        ) as is_first
    from hours

),

steps as (

    select
        links.hour_start,
        links.next_start
    from links
    inner join links as later on links.next_start = later.hour_start
    where not later.is_first

),

walk as (

    select hour_start as block_start
    from links
    where is_first
    union all
    select steps.next_start as block_start
    from walk
    inner join steps on walk.block_start = steps.hour_start

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
    from {{ ref('agg_response_hours') }} as facts
    inner join blocks
        on
            facts.responded_hour >= blocks.block_start
            and facts.responded_hour < blocks.block_end

),

summed as (

    select
        block_start,
        block_end,
        min(first_responded_at) as first_response_at,
        max(last_responded_at) as last_response_at,
        sum(api_responses) as api_responses,
        sum(unpriced_responses) as unpriced_responses,
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
