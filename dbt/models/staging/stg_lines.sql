{{ config(materialized='view') }}

{#
    The records with the session that they belong to and the entry that they are a copy
    of. `extract_run` is the run that made both known.
#}

select
    conversations.doc_id,
    conversations.part,
    conversations.file_key,
    conversations.project_id,
    conversations.uuid,
    conversations.parent_uuid,
    conversations.message_id,
    conversations.request_id,
    conversations.agent_id,
    conversations.buffer,
    conversations.seq,
    conversations.record_kind,
    conversations.host,
    conversations.source_file,
    conversations.gen,
    conversations.off,
    conversations.len,
    conversations.cwd,
    conversations.git_branch,
    conversations.type,
    conversations.subtype,
    conversations.model,
    conversations.version,
    conversations.is_sidechain,
    conversations.error,
    conversations.raw,
    conversations.entry,
    conversations.file_agent_id,
    conversations.is_history,
    conversations.ingested_at,
    conversations.session_id,
    conversations.said_at,
    conversations.extract_run,
    conversations.uuid as canonical_uuid
from {{ ref('stg_conversations') }} as conversations
where
    conversations.record_kind in ('line', 'salvaged')
    and conversations.entry is not null
    and not conversations.is_history
    and not {{ is_loose('conversations') }}
union all
select
    conversations.doc_id,
    conversations.part,
    conversations.file_key,
    conversations.project_id,
    conversations.uuid,
    conversations.parent_uuid,
    conversations.message_id,
    conversations.request_id,
    conversations.agent_id,
    conversations.buffer,
    conversations.seq,
    conversations.record_kind,
    conversations.host,
    conversations.source_file,
    conversations.gen,
    conversations.off,
    conversations.len,
    conversations.cwd,
    conversations.git_branch,
    conversations.type,
    conversations.subtype,
    conversations.model,
    conversations.version,
    conversations.is_sidechain,
    conversations.error,
    conversations.raw,
    conversations.entry,
    conversations.file_agent_id,
    conversations.is_history,
    conversations.ingested_at,
    resolved.session_id,
    resolved.said_at,
    resolved.extract_run,
    resolved.canonical_uuid
from {{ ref('stg_resolved_lines') }} as resolved
inner join {{ ref('stg_conversations') }} as conversations
    on
        resolved.doc_id = conversations.doc_id
        and resolved.part = conversations.part
        and resolved.line_run = conversations.extract_run
where resolved.session_id is not null
