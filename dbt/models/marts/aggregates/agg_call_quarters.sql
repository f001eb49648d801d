{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{# Tool calls with the model of the response that made them, whose session may be another. #}
with changed as (

    {{ changed_sessions() }}

),

fct_api_responses as {{ inlined() }} (

    {{ within_reach(ref('fct_api_responses'), 'updated_run') }}

),

fct_tool_calls as {{ inlined() }} (

    {{ within_reach(ref('fct_tool_calls'), 'updated_run', own=true) }}

),

int_sessions_computed as {{ inlined() }} (

    {{ within_reach(ref('int_sessions_computed'), 'updated_run', own=true) }}

),

models as (

    select
        message_id,
        min(model_name) as model
    from fct_api_responses
    group by message_id

),

calls as (

    select
        calls.session_id,
        calls.project_key,
        sessions.host,
        sessions.git_branch,
        models.model,
        calls.tool_name,
        calls.duration_ms,
        case
            when calls.duration_ms is not null then {{ duration_code('calls.duration_ms') }}
        end as duration_code,
        calls.updated_run,
        {{ quarter_no('calls.called_at') }} as quarter_no,
        case
            when calls.is_error then coalesce(nullif(calls.error_kind, ''), 'other')
        end as error_kind
    from fct_tool_calls as calls
    inner join changed on calls.session_id = changed.session_id
    left join int_sessions_computed as sessions
        on calls.session_id = sessions.session_id
    left join models on calls.message_id = models.message_id

)

select
    quarter_no,
    session_id,
    project_key,
    host,
    git_branch,
    model,
    tool_name,
    error_kind,
    cast(count(*) as integer) as calls,
    cast(count(duration_ms) as integer) as timed_calls,
    coalesce(
        {{ text_of_all('duration_code', '', 'duration_code') }}, ''
    ) as durations,
    max(updated_run) as updated_run
from calls
group by quarter_no, session_id, project_key, host, git_branch, model, tool_name, error_kind
