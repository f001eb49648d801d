{{ config(materialized='view') }}

{#
    The records with the session that they belong to and the entry that they are a copy
    of. `extract_run` is the run that made both known.
#}

{%- set columns = [
    'doc_id', 'part', 'file_key', 'project_id', 'uuid', 'parent_uuid', 'message_id',
    'request_id', 'agent_id', 'buffer', 'seq', 'record_kind', 'host', 'source_file',
    'gen', 'off', 'len', 'cwd', 'git_branch', 'type', 'subtype', 'model', 'version',
    'is_sidechain', 'error', 'raw', 'entry', 'file_agent_id', 'is_history',
    'ingested_at'
] %}

select
    {% for column in columns -%}
        conversations.{{ column }},
    {% endfor -%}
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
    {% for column in columns -%}
        conversations.{{ column }},
    {% endfor -%}
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
