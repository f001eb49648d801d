{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

affected as (

    select calls.tool_use_id
    from {{ ref('stg_tool_calls') }} as calls
    inner join changed on calls.session_id = changed.session_id
    union
    select results.tool_use_id
    from {{ ref('stg_tool_results') }} as results
    inner join changed on results.session_id = changed.session_id

),

calls as (

    select
        calls.*,
        messages.entry_key,
        messages.host,
        messages.agent_id,
        messages.message_id,
        messages.said_at,
        row_number() over (
            partition by calls.tool_use_id order by {{ earliest('messages') }}
        ) as rank
    from {{ ref('stg_tool_calls') }} as calls
    inner join affected on calls.tool_use_id = affected.tool_use_id
    inner join {{ ref('stg_messages') }} as messages
        on calls.doc_id = messages.doc_id and calls.part = messages.part

),

results as (

    select
        results.*,
        messages.entry_key,
        messages.host,
        messages.agent_id,
        messages.said_at,
        row_number() over (
            partition by results.tool_use_id order by {{ earliest('messages') }}
        ) as rank
    from {{ ref('stg_tool_results') }} as results
    inner join affected on results.tool_use_id = affected.tool_use_id
    inner join {{ ref('stg_messages') }} as messages
        on results.doc_id = messages.doc_id and results.part = messages.part

),

paired as (

    select
        affected.tool_use_id,
        calls.message_id,
        coalesce(calls.session_id, results.session_id) as session_id,
        coalesce(calls.host, results.host) as host,
        coalesce(calls.agent_id, results.agent_id) as agent_id,
        coalesce(nullif(calls.tool_name, ''), 'unknown') as tool_name,
        results.is_error,
        case
            when results.is_error
                then {{ error_kind('results.result_head', 'results.tool_denial_kind') }}
        end as error_kind,
        coalesce(results.is_interrupted, false) as is_interrupted,
        results.tool_use_id is not null as has_result,
        greatest(epoch_ms(results.said_at) - epoch_ms(calls.said_at), 0) as duration_ms,
        results.reported_ms,
        results.result_chars,
        results.subagent_id,
        calls.subagent_type,
        calls.description,
        coalesce(calls.file_path, results.file_path) as file_path,
        calls.input_hash,
        calls.content_lines,
        calls.old_lines,
        calls.new_lines,
        results.result_type,
        results.has_patch,
        results.lines_added,
        results.lines_removed,
        results.search_count,
        calls.entry_key as call_entry_key,
        results.entry_key as result_entry_key,
        coalesce(calls.said_at, results.said_at) as called_at,
        results.said_at as answered_at
    from affected
    left join calls
        on affected.tool_use_id = calls.tool_use_id and calls.rank = 1
    left join results
        on affected.tool_use_id = results.tool_use_id and results.rank = 1

)

select
    paired.*,
    -- The same tool was called next by the same agent after a failure.
    coalesce(
        paired.is_error
        and lead(paired.tool_name) over (
            partition by paired.session_id, paired.agent_id
            order by paired.called_at, paired.tool_use_id
        ) = paired.tool_name,
        false
    ) as is_retried,
    changed.version_run as updated_run
from paired
inner join changed on paired.session_id = changed.session_id
