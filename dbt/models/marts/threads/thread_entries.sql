{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

int_threads as {{ inlined() }} (

    {{ within_reach(ref('int_threads'), 'updated_run', own=true) }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

int_canonical_entries as {{ inlined() }} (

    {{ within_reach(ref('int_canonical_entries'), 'updated_run') }}

)

select
    threads.session_id,
    threads.position,
    threads.entry_key,
    entries.session_id as owner_session_id,
    threads.is_copy,
    threads.agent_id,
    threads.turn_number,
    own.message_kind,
    own.type,
    own.subtype,
    rep.said_at,
    own.message_id,
    coalesce(names.model_name, own.model) as model,
    threads.doc_id,
    threads.part,
    changed.version_run as updated_run
from int_threads as threads
inner join changed on threads.session_id = changed.session_id
inner join stg_messages as own
    on threads.doc_id = own.doc_id and threads.part = own.part
inner join int_canonical_entries as entries
    on threads.entry_key = entries.entry_key
inner join stg_messages as rep
    on entries.doc_id = rep.doc_id and entries.part = rep.part
left join {{ ref('int_model_names') }} as names on own.model = names.model
where threads.position is not null
