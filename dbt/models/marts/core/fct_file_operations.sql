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

),

operations as (

    select
        calls.*,
        case
            when calls.tool_name in ('Read', 'NotebookRead') then 'read'
            when calls.tool_name = 'Write' and calls.result_type = 'create'
                then 'create'
            when calls.tool_name = 'Write' then 'write'
            else 'edit'
        end as operation
    from int_tool_usage as calls
    inner join changed on calls.session_id = changed.session_id
    where
        calls.tool_name in (
            'Read', 'NotebookRead', 'Write', 'Edit', 'MultiEdit', 'NotebookEdit'
        )
        and calls.file_path is not null
        and calls.has_call

)

select
    operations.tool_use_id,
    operations.session_id,
    sessions.project_key,
    operations.host,
    operations.agent_id,
    operations.tool_name,
    operations.operation,
    operations.file_path,
    {{ file_name('operations.file_path') }} as file_name,
    lower(
        nullif({{ file_extension('operations.file_path') }}, '')
    ) as file_extension,
    operations.is_error,
    case
        when operations.is_error or operations.operation = 'read' then cast(0 as bigint)
        when operations.has_patch and operations.lines_added + operations.lines_removed > 0
            then operations.lines_added
        when operations.tool_name = 'Write' and operations.operation = 'create'
            then operations.content_lines
    end as lines_added,
    case
        when operations.is_error or operations.operation = 'read' then cast(0 as bigint)
        when operations.has_patch and operations.lines_added + operations.lines_removed > 0
            then operations.lines_removed
        when operations.tool_name = 'Write' and operations.operation = 'create'
            then cast(0 as bigint)
    end as lines_removed,
    operations.called_at,
    operations.updated_run
from operations
left join int_sessions_computed as sessions
    on operations.session_id = sessions.session_id
