{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

with messages as (

    select
        session_id,
        count(*) filter (where message_kind = 'prompt' and agent_id is null) as turns,
        count(*) filter (
            where message_kind in ('prompt', 'queued_prompt')
        ) as prompts,
        count(*) filter (where type in ('user', 'assistant')) as messages,
        count(*) filter (where message_kind = 'api_error') as api_errors,
        count(*) filter (where message_kind = 'interrupt') as interrupts,
        count(*) filter (
            where subtype = 'api_error' and type = 'system'
        ) as api_retries,
        count(distinct agent_id) as subagents,
        -- A summary of the hooks at the end names again those that have a record.
        coalesce(sum(hook_runs) filter (
            where coalesce(hook_event, '') not in ('Stop', 'SubagentStop')
        ), 0)
        + coalesce(
            {{ greatest_known(
                "sum(hook_runs) filter (where subtype = 'stop_hook_summary')",
                "sum(hook_runs) filter (
                    where
                    hook_event in ('Stop', 'SubagentStop')
                    and subtype is distinct from 'stop_hook_summary'
                )"
            ) }}, 0
        ) as hook_runs,
        count(*) filter (
            where
            subtype = 'compact_boundary'
            and type = 'system'
        ) as compactions
    from {{ ref('fct_messages') }} as facts
    where {{ newer('facts', priced=true) }}
    group by session_id

),

calls as (

    select
        session_id,
        count(*) as tool_calls,
        count(*) filter (where is_error) as tool_errors,
        count(*) filter (where error_kind = 'denied') as denials
    from {{ ref('fct_tool_calls') }} as facts
    where {{ newer('facts', priced=true) }}
    group by session_id

),

responses as (

    select
        session_id,
        count(*) as api_responses,
        count(*) filter (where not is_priced) as unpriced_responses,
        count(*) filter (where input_tokens is null) as uncounted_responses,
        count(*) filter (where usage_final) as final_responses,
        max(context_tokens) as max_context_tokens,
        {{ usage_sums() }}
    from {{ ref('fct_api_responses') }} as facts
    where {{ newer('facts', priced=true) }}
    group by session_id

),

{# A result whose call is in no file is not a call. #}
orphans as (

    select
        session_id,
        count(*) as orphan_results
    from {{ ref('int_tool_usage') }} as usages
    where not has_call and {{ newer('usages', priced=true) }}
    group by session_id

),

file_operations as (

    select
        session_id,
        count(distinct file_path) filter (
            where operation <> 'read' and not is_error
        ) as files_changed,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from {{ ref('fct_file_operations') }} as facts
    where {{ newer('facts', priced=true) }}
    group by session_id

)

select
    sessions.session_id,
    sessions.project_key,
    sessions.host,
    cast(coalesce(messages.turns, 0) as integer) as turns,
    cast(coalesce(messages.prompts, 0) as integer) as prompts,
    cast(coalesce(messages.messages, 0) as integer) as messages,
    cast(coalesce(calls.tool_calls, 0) as integer) as tool_calls,
    cast(coalesce(calls.tool_errors, 0) as integer) as tool_errors,
    cast(coalesce(calls.denials, 0) as integer) as denials,
    cast(coalesce(orphans.orphan_results, 0) as integer) as orphan_results,
    cast(coalesce(messages.api_errors, 0) as integer) as api_errors,
    cast(coalesce(messages.api_retries, 0) as integer) as api_retries,
    cast(coalesce(messages.interrupts, 0) as integer) as interrupts,
    cast(coalesce(messages.hook_runs, 0) as integer) as hook_runs,
    cast(coalesce(messages.subagents, 0) as integer) as subagents,
    cast(coalesce(messages.compactions, 0) as integer) as compactions,
    cast(coalesce(responses.api_responses, 0) as integer) as api_responses,
    cast(coalesce(responses.unpriced_responses, 0) as integer) as unpriced_responses,
    cast(coalesce(responses.uncounted_responses, 0) as integer) as uncounted_responses,
    cast(coalesce(responses.final_responses, 0) as integer) as final_responses,
    {{ token_columns('responses') }},
    cast(responses.max_context_tokens as bigint) as max_context_tokens,
    {{ cost_column('responses', 'session_id') }},
    cast(coalesce(file_operations.files_changed, 0) as integer) as files_changed,
    cast(coalesce(file_operations.lines_added, 0) as bigint) as lines_added,
    cast(coalesce(file_operations.lines_removed, 0) as bigint) as lines_removed,
    {{ price_list() }} as price_list,
    sessions.updated_run
from {{ ref('int_sessions_computed') }} as sessions
left join messages on sessions.session_id = messages.session_id
left join calls on sessions.session_id = calls.session_id
left join orphans on sessions.session_id = orphans.session_id
left join responses on sessions.session_id = responses.session_id
left join file_operations on sessions.session_id = file_operations.session_id
where {{ newer('sessions', priced=true) }}
