{{ config(materialized='view') }}

with messages as (

    select
        {{ quarter_day() }} as date_day,
        count(distinct session_id) as sessions,
        count(distinct project_key) as projects,
        sum(prompts) as prompts,
        sum(user_messages + assistant_messages) as messages,
        sum(api_errors) as api_errors
    from {{ ref('agg_message_quarters') }}
    where quarter_no is not null
    group by date_day

),

calls as (

    select
        {{ quarter_day() }} as date_day,
        sum(calls) as tool_calls,
        sum(calls) filter (where error_kind is not null) as tool_errors
    from {{ ref('agg_call_quarters') }}
    where quarter_no is not null
    group by date_day

),

responses as (

    select
        {{ quarter_day() }} as date_day,
        sum(api_responses) as api_responses,
        sum(unpriced_responses) as unpriced_responses,
        sum(final_responses) as final_responses,
        {{ usage_sums() }}
    from {{ ref('agg_response_quarters') }}
    where quarter_no is not null
    group by date_day

),

changes as (

    select
        date_day,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from {{ ref('agg_code_changes') }}
    group by date_day

),

days as (

    select date_day from messages
    union
    select date_day from calls
    union
    select date_day from responses

)

select
    days.date_day,
    cast(coalesce(messages.sessions, 0) as integer) as sessions,
    cast(coalesce(messages.projects, 0) as integer) as projects,
    cast(coalesce(messages.prompts, 0) as integer) as prompts,
    cast(coalesce(messages.messages, 0) as integer) as messages,
    cast(coalesce(messages.api_errors, 0) as integer) as api_errors,
    cast(coalesce(calls.tool_calls, 0) as integer) as tool_calls,
    cast(coalesce(calls.tool_errors, 0) as integer) as tool_errors,
    cast(coalesce(responses.api_responses, 0) as integer) as api_responses,
    cast(coalesce(responses.unpriced_responses, 0) as integer) as unpriced_responses,
    cast(coalesce(responses.final_responses, 0) as integer) as final_responses,
    {{ token_columns('responses') }},
    {{ cost_column('responses', 'date_day') }},
    cast(coalesce(changes.lines_added, 0) as bigint) as lines_added,
    cast(coalesce(changes.lines_removed, 0) as bigint) as lines_removed
from days
left join messages on days.date_day = messages.date_day
left join calls on days.date_day = calls.date_day
left join responses on days.date_day = responses.date_day
left join changes on days.date_day = changes.date_day
