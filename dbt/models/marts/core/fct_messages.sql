{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

int_messages_enriched as {{ inlined() }} (

    {{ within_reach(ref('int_messages_enriched'), 'updated_run', own=true) }}

),

int_sessions_computed as {{ inlined() }} (

    {{ within_reach(ref('int_sessions_computed'), 'updated_run', own=true) }}

)

select
    messages.entry_key,
    messages.doc_id,
    messages.part,
    messages.session_id,
    sessions.project_key,
    messages.host,
    messages.type,
    messages.subtype,
    messages.message_kind,
    messages.task_category,
    messages.uuid,
    messages.parent_uuid,
    messages.message_id,
    messages.request_id,
    messages.model,
    messages.agent_id,
    messages.is_sidechain,
    messages.turn_number,
    messages.said_at,
    messages.text_chars,
    messages.version as claude_version,
    messages.copies,
    messages.compact_trigger,
    messages.compact_pre_tokens,
    messages.hook_event,
    cast(messages.hook_runs as integer) as hook_runs,
    messages.updated_run
from int_messages_enriched as messages
inner join changed on messages.session_id = changed.session_id
left join int_sessions_computed as sessions
    on messages.session_id = sessions.session_id
