{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

messages as (

    select facts.*
    from {{ ref('fct_messages') }} as facts
    inner join changed on facts.session_id = changed.session_id
    where {{ newer('facts') }}

),

documents as (

    select
        messages.session_id,
        messages.entry_key,
        blocks.block_no,
        blocks.block_kind,
        messages.message_kind,
        messages.said_at,
        messages.project_key,
        messages.host,
        case blocks.block_kind
            when 'tool_use' then blocks.tool_name || ' ' || blocks.tool_input
            else blocks.text
        end as text,
        -- Rises with time, so that the newest hits are the last row ids. Of times before
        -- 1970 and after 2106, which only a wrong clock writes, the end is taken.
        {{ at_least(at_most('coalesce(epoch_ms(messages.said_at), 0) // 1000', 4294967295), 0) }}
        * 2147483648
        + cast(
            cast(('0x' || left(md5(messages.entry_key || '/' || blocks.block_no), 8)) as bigint)
            & 2147483647 as bigint
        ) as place,
        messages.updated_run
    from {{ ref('thread_blocks') }} as blocks
    inner join messages
        on
            blocks.session_id = messages.session_id
            and blocks.entry_key = messages.entry_key
    -- Without it the texts of all sessions are read before they are joined.
    where {{ newer('blocks') }}

)

select
    place + row_number() over (
        partition by place order by entry_key, block_no
    ) - 1 as search_id,
    session_id,
    entry_key,
    block_no,
    block_kind,
    message_kind,
    said_at,
    project_key,
    host,
    text,
    {{ search_words('text') }} as words,
    updated_run
from documents
where trim(text) <> ''
