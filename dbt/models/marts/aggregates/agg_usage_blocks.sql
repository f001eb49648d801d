{{ config(materialized='view') }}

{#
    The five-hour windows of a subscription: the first response after a window
    has ended opens the next one, at the full hour before it.
#}

with hours as (

    select distinct {{ quotient('quarter_no', 4) }} as hour_no
    from {{ ref('agg_response_quarters') }}
    where quarter_no is not null

),

{# After five hours without a response a window begins: there the history is cut. #}
pauses as (

    select
        hour_no,
        coalesce(hour_no - lag(hour_no) over (order by hour_no) >= 5, true) as is_first
    from hours

),

stretches as (

    select
        hour_no,
        count(case when is_first then 1 end) over (order by hour_no) as stretch
    from pauses

),

listed as (

    select {{ listed('hour_no', 'hour_no') }} as hours
    from stretches
    group by stretch

),

{# Each stretch is walked once, from window to window. #}
walks as (

    select
        {% call(list) by_row('bigints', 'hours') -%}
            list_reduce(
                list_transform({{ list }}, lambda hour: [hour]),
                lambda starts, hour: case
                    when hour[1] - starts[-1] >= 5 then list_concat(starts, hour)
                    else starts
                end
            )
        {%- endcall %} as starts
    from listed

),

walk as (

    select {{ at_millis('start_no * 3600000') }} as block_start
    from (
        select {{ every('starts') }} as start_no
        from walks
    ) as started

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
    from {{ ref('agg_response_quarters') }} as facts
    inner join blocks
        on
            facts.quarter_no >= {{ quarter_no('blocks.block_start') }}
            and facts.quarter_no < {{ quarter_no('blocks.block_end') }}

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
        {{ text_of_all('model', ', ', 'model', distinct=true) }} as models,
        {{ usage_sums() }}
    from responses
    group by block_start, block_end

),

timed as (

    select
        *,
        ({{ millis('last_response_at') }} - {{ millis('first_response_at') }}) / cast(60000 as double) as active_minutes
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
    {{ token_columns('timed') }},
    cast(cost_usd as decimal(20, 10)) as cost_usd,
    cast(active_minutes as double) as active_minutes,
    -- Burn rate over the time between the first and the last response.
    cast(
        coalesce(timed.total_tokens, 0) / nullif(active_minutes, 0) as double
    ) as tokens_per_minute,
    cast(cast(cost_usd as double) / nullif(active_minutes, 0) * 60 as double) as usd_per_hour
from timed
