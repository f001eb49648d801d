{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['doc_id', 'part']
) }}

{#
    Lines that do not clearly name their session (summaries, snapshots, the records of
    Claude Desktop's audit log), and copies made by a fork. Other lines show what they
    belong to: `stg_resolved_lines`.
#}
{%- set paths = [
    'sessionId', 'session_id', 'forkedFrom.messageUuid', '_audit_timestamp'
] %}

with lines as (

    select *
    from {{ ref('stg_conversations') }} as conversations
    where
        record_kind in ('line', 'salvaged')
        and entry is not null
        and not is_history
        and {{ is_loose('conversations') }}
        and {{ new_lines('conversations') }}

),

bodies as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ few_at_a_time('lines', 'entry') }}

),

picked as (

    select
        *,
        {{ json_strings('body', paths) }} as f,
        json_type(body, '$.sessionId') = 'VARCHAR' as has_session_id,
        json_type(body, '$.session_id') = 'VARCHAR' as has_audit_session
    from bodies
    where json_type(body) = 'OBJECT'

)

select
    doc_id,
    part,
    file_key,
    gen,
    off,
    {{ path_session('source_file') }} as path_session_id,
    coalesce(
        case when has_session_id then nullif({{ picked('f', paths, 'sessionId') }}, '') end,
        case when has_audit_session then nullif({{ picked('f', paths, 'session_id') }}, '') end
    ) as own_session_id,
    uuid,
    nullif({{ picked('f', paths, 'forkedFrom.messageUuid') }}, uuid) as origin_uuid,
    coalesce(said_at, {{ log_time(picked('f', paths, '_audit_timestamp')) }}) as said_at,
    extract_run
from picked
