{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

int_canonical_entries as {{ inlined() }} (

    {{ within_reach(ref('int_canonical_entries'), 'updated_run', own=true) }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

int_threads as {{ inlined() }} (

    {{ within_reach(ref('int_threads'), 'updated_run', own=true) }}

)

select
    entries.entry_key,
    messages.doc_id,
    messages.part,
    messages.session_id,
    messages.host,
    messages.type,
    messages.subtype,
    messages.message_kind,
    messages.uuid,
    messages.parent_uuid,
    messages.message_id,
    messages.request_id,
    messages.model,
    coalesce(threads.agent_id, messages.agent_id) as agent_id,
    messages.is_sidechain,
    messages.version,
    messages.compact_trigger,
    messages.compact_pre_tokens,
    messages.hook_event,
    messages.hook_runs,
    cast(messages.text_chars as integer) as text_chars,
    threads.turn_number,
    case
        when messages.message_kind in ('prompt', 'queued_prompt')
            then {{ task_category('messages.text_head') }}
    end as task_category,
    cast(entries.copies as integer) as copies,
    messages.said_at,
    changed.version_run as updated_run
from int_canonical_entries as entries
inner join changed on entries.session_id = changed.session_id
inner join stg_messages as messages
    on entries.doc_id = messages.doc_id and entries.part = messages.part
left join int_threads as threads
    on
        entries.session_id = threads.session_id
        and entries.entry_key = threads.entry_key
