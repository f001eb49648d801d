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
        min_by(task_category, said_at) filter (
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
        max(context_tokens) filter (where agent_id is null) as context_tokens,
        {{ usage_sums() }}
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
    {{ token_columns('responses') }},
    cast(responses.context_tokens as bigint) as context_tokens,
    {{ cost_column('responses', 'session_id') }},
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
