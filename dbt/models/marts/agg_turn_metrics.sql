{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

with messages as (

    select
        session_id,
        turn_number,
        min(said_at) as started_at,
        max(said_at) as ended_at,
        arg_min(task_category, said_at) filter (
            where message_kind = 'prompt'
        ) as task_category,
        count(*) filter (where type in ('user', 'assistant')) as messages,
        count(*) filter (where message_kind = 'api_error') as api_errors,
        count(distinct agent_id) as subagents,
        max(updated_run) as updated_run
    from {{ ref('fct_messages') }} as facts
    where turn_number is not null and {{ newer('facts', priced=true) }}
    group by session_id, turn_number

),

calls as (

    select
        session_id,
        turn_number,
        count(*) as tool_calls,
        count(*) filter (where is_error) as tool_errors
    from {{ ref('fct_tool_calls') }} as facts
    where {{ newer('facts', priced=true) }}
    group by session_id, turn_number

),

responses as (

    select
        session_id,
        turn_number,
        count(*) as api_responses,
        count(*) filter (where not is_priced) as unpriced_responses,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(total_tokens) as total_tokens,
        max(context_tokens) filter (where agent_id is null) as context_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_api_responses') }} as facts
    where {{ newer('facts', priced=true) }}
    group by session_id, turn_number

)

select
    messages.session_id,
    messages.turn_number,
    messages.task_category,
    messages.started_at,
    messages.ended_at,
    cast(messages.messages as integer) as messages,
    cast(messages.api_errors as integer) as api_errors,
    cast(messages.subagents as integer) as subagents,
    cast(coalesce(calls.tool_calls, 0) as integer) as tool_calls,
    cast(coalesce(calls.tool_errors, 0) as integer) as tool_errors,
    cast(coalesce(responses.api_responses, 0) as integer) as api_responses,
    cast(coalesce(responses.unpriced_responses, 0) as integer) as unpriced_responses,
    cast(coalesce(responses.input_tokens, 0) as bigint) as input_tokens,
    cast(coalesce(responses.output_tokens, 0) as bigint) as output_tokens,
    cast(coalesce(responses.cache_write_tokens, 0) as bigint) as cache_write_tokens,
    cast(coalesce(responses.cache_read_tokens, 0) as bigint) as cache_read_tokens,
    cast(coalesce(responses.total_tokens, 0) as bigint) as total_tokens,
    cast(responses.context_tokens as bigint) as context_tokens,
    cast(
        case when responses.session_id is null then 0 else responses.cost_usd end
        as decimal(20, 10)
    ) as cost_usd,
    {{ price_list() }} as price_list,
    messages.updated_run
from messages
left join calls
    on
        messages.session_id = calls.session_id
        and messages.turn_number = calls.turn_number
left join responses
    on
        messages.session_id = responses.session_id
        and messages.turn_number = responses.turn_number
