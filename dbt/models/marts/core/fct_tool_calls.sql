{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

int_tool_usage as {{ inlined() }} (

    {{ within_reach(ref('int_tool_usage'), 'updated_run', own=true) }}

),

int_sessions_computed as {{ inlined() }} (

    {{ within_reach(ref('int_sessions_computed'), 'updated_run', own=true) }}

)

select
    calls.tool_use_id,
    calls.message_id,
    calls.session_id,
    sessions.project_key,
    calls.host,
    calls.tool_name,
    coalesce(
        categories.category,
        case when left(calls.tool_name, 5) = 'mcp__' then 'mcp' else 'other' end
    ) as tool_category,
    calls.is_error,
    calls.error_kind,
    calls.is_retried,
    calls.is_interrupted,
    calls.has_result,
    calls.duration_ms,
    calls.reported_ms,
    calls.result_chars,
    calls.called_at,
    calls.answered_at,
    calls.agent_id,
    calls.turn_number,
    calls.subagent_id,
    calls.workflow_run_id,
    calls.subagent_type,
    calls.description,
    calls.file_path,
    calls.call_entry_key,
    calls.result_entry_key,
    calls.updated_run
from int_tool_usage as calls
inner join changed on calls.session_id = changed.session_id
left join int_sessions_computed as sessions
    on calls.session_id = sessions.session_id
left join {{ ref('tool_categories') }} as categories
    on calls.tool_name = categories.tool_name
where calls.has_call
