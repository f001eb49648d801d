{{ config(materialized='view') }}

{#- Only thread_blocks stores the text; publish creates the same view in SQLite. #}
select
    blocks.search_id,
    blocks.session_id,
    blocks.entry_key,
    blocks.block_no,
    blocks.block_kind,
    messages.message_kind,
    messages.said_at,
    messages.project_key,
    messages.host,
    {{ searched_text() }} as text,
    blocks.words
from {{ ref('thread_blocks') }} as blocks
inner join {{ ref('fct_messages') }} as messages
    on
        blocks.session_id = messages.session_id
        and blocks.entry_key = messages.entry_key
where trim({{ searched_text() }}) <> ''
