{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{%- set paths = [
    'type', 'text', 'thinking', 'id', 'name', 'input', 'tool_use_id',
    'is_error', 'title', 'stdout', 'content', 'customTitle', 'tag', 'agentName',
    'prUrl', 'prRepository'
] %}

with changed as (

    {{ changed_sessions() }}

),

int_canonical_entries as {{ inlined() }} (

    {{ within_reach(ref('int_canonical_entries'), 'updated_run', own=true) }}

),

int_threads as {{ inlined() }} (

    {{ within_reach(ref('int_threads'), 'updated_run', own=true) }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

stg_conversations as {{ inlined() }} (

    {{ within_reach(ref('stg_conversations'), 'extract_run') }}

),

int_tool_usage as {{ inlined() }} (

    {{ within_reach(ref('int_tool_usage'), 'updated_run', own=true) }}

),

int_sessions_computed as {{ inlined() }} (

    {{ within_reach(ref('int_sessions_computed'), 'updated_run', own=true) }}

),

shown as (

    select
        entries.entry_key,
        entries.doc_id,
        entries.part,
        entries.session_id,
        entries.updated_run,
        messages.agent_id,
        messages.type,
        messages.said_at
    from int_canonical_entries as entries
    inner join changed on entries.session_id = changed.session_id
    inner join int_threads as threads
        on
            entries.session_id = threads.session_id
            and entries.entry_key = threads.entry_key
    inner join stg_messages as messages
        on entries.doc_id = messages.doc_id and entries.part = messages.part
    where threads.position is not null

),

found as (

    select
        shown.*,
        lines.entry
    from stg_conversations as lines
    inner join shown
        on lines.doc_id = shown.doc_id and lines.part = shown.part
    -- Redundant, but lets the scan skip the text of all other files.
    where {{ among('few_files', 'lines.file_key') if is_incremental() else true }}

),

bodies as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ few_at_a_time('found', 'entry') }}

),

contents as (

    select
        *,
        coalesce(
            json_extract(body, '$.message.content'),
            json_extract(body, '$.content'),
            json_extract(body, '$.attachment.prompt')
        ) as content
    from bodies

),

{# The elements of the content; whatever has none is one element. #}
lists as (

    select
        *,
        case
            when json_type(content) = 'ARRAY' then {{ json_elements('content', '$[*]') }}
            when json_type(content) = 'VARCHAR' then {{ list_of('content') }}
            when type = 'attachment' then {{ list_of("json_extract(body, '$.attachment')") }}
            else {{ list_of('body', json=true) }}
        end as elements
    from contents

),

{#
    Images inside a tool's result follow it as separate blocks. Context that was added to
    the user's words is a separate block, too.
#}
sequences as (

    select
        *,
        {{ shown_blocks('type', 'elements') }} as blocks
    from lists

),

{#
    Numbered within their list, and not by a window, which would hold all texts at
    once. The record has one result for all its blocks: the first has it.
#}
numbered as (

    select
        entry_key,
        session_id,
        agent_id,
        updated_run,
        type,
        said_at,
        body,
        {{ result_number('blocks') }} as result_no,
        {{ each('blocks', 'one', 'block_no') }}
    from sequences

),

picked as (

    select
        *,
        {{ shown_block('one') }} as block,
        {{ is_inner('one') }} as is_inner,
        {{ json_strings(shown_block('one'), paths) }} as f
    from numbered

),

kinds as (

    select
        *,
        case
            when is_inner then 'image'
            when
                type in ('user', 'attachment', 'queue-operation')
                and json_type(block) = 'VARCHAR'
                and {{ is_context("json_extract_string(block, '$')") }}
                then 'context'
            when type in ('custom-title', 'tag', 'agent-name', 'pr-link') then 'text'
            else {{ block_kind('block', picked('f', paths, 'type')) }}
        end as block_kind
    from picked

),

blocks as (

    select
        entry_key,
        session_id,
        said_at,
        cast(block_no as integer) as block_no,
        block_kind,
        case block_kind
            when 'text'
                then
                    case type
                        when 'custom-title' then {{ picked('f', paths, 'customTitle') }}
                        when 'tag' then {{ picked('f', paths, 'tag') }}
                        when 'agent-name' then {{ picked('f', paths, 'agentName') }}
                        when 'pr-link'
                            then
                                concat_ws(
                                    ' ',
                                    {{ picked('f', paths, 'prRepository') }},
                                    {{ picked('f', paths, 'prUrl') }}
                                )
                        else
                            coalesce(
                                {{ picked('f', paths, 'text') }},
                                json_extract_string(block, '$')
                            )
                    end
            when 'context' then json_extract_string(block, '$')
            when 'thinking' then {{ picked('f', paths, 'thinking') }}
            when 'tool_result' then {{ result_text('block') }}
            when 'document' then {{ readable_text('block') }}
            when 'compaction' then {{ readable_text('block') }}
            when 'other'
                then
                    coalesce(
                        {{ picked('f', paths, 'stdout') }},
                        case
                            when {{ picked('f', paths, 'type') }} like '%search_result'
                                then {{ readable_text('block') }}
                        end,
                        {{ picked('f', paths, 'content') }},
                        {{ picked('f', paths, 'text') }}
                    )
        end as text,
        case block_kind
            when 'tool_use'
                then {{ call_id(picked('f', paths, 'id'), 'session_id', 'agent_id') }}
            when 'tool_result'
                then
                    {{ call_id(
                        picked('f', paths, 'tool_use_id'), 'session_id', 'agent_id'
                    ) }}
        end as tool_use_id,
        case
            when block_kind = 'tool_use' then {{ picked('f', paths, 'name') }}
        end as tool_name,
        case
            when block_kind = 'tool_use' then {{ picked('f', paths, 'input') }}
        end as tool_input,
        case
            when block_kind = 'tool_result'
                then case when block_no = result_no then {{ lean_result('body') }} end
            when block_kind = 'other' and json_type(block) = 'OBJECT'
                then cast(block as string)
            -- The sizes before and after a compaction stand beside its words.
            when block_kind = 'text' and type = 'system' and block_no = 1
                then
                    cast(
                        coalesce(
                            json_extract(body, '$.compactMetadata'),
                            json_extract(body, '$.microcompactMetadata')
                        ) as string
                    )
        end as result_json,
        case
            when block_kind = 'tool_result'
                then
                    coalesce({{ picked('f', paths, 'is_error') }} = 'true', false)
        end as is_error,
        case when block_kind = 'image' then {{ image_key('block') }} end
            as image_key,
        updated_run
    from kinds

),

calls as (

    select
        calls.session_id,
        calls.tool_use_id,
        calls.tool_name,
        calls.is_error,
        calls.error_kind
    from int_tool_usage as calls
    inner join changed on calls.session_id = changed.session_id
    where calls.has_call

),

{# With what a search asks about each block. #}
marked as (

    select
        blocks.*,
        sessions.project_key,
        case when blocks.block_kind = 'tool_result' then calls.tool_name end
            as result_tool,
        case when calls.is_error then calls.error_kind end as error_kind
    from blocks
    left join calls
        on
            blocks.session_id = calls.session_id
            and blocks.tool_use_id = calls.tool_use_id
    left join int_sessions_computed as sessions
        on blocks.session_id = sessions.session_id

)

select
    -- Rises with time, so that the newest hits of a search are the last row ids. Of times
    -- before 1970 and after 2106, which only a wrong clock writes, the end is taken. The
    -- full-text index stores differences of these numbers, so they lie close together.
    case
        when said_at is null
            then -1 - {{ hex_number("left(md5(entry_key || '/' || block_no), 8)") }}
        else
            {{ at_least(at_most(quotient(millis('said_at'), 1000), 4294967295), 0) }} * 256
            + {{ hex_number("left(md5(entry_key || '/' || block_no), 2)") }}
    end as search_id,
    session_id,
    project_key,
    entry_key,
    block_no,
    block_kind,
    tool_use_id,
    tool_name,
    result_tool,
    is_error,
    error_kind,
    image_key,
    text,
    tool_input,
    result_json,
    {{ search_words(searched_text()) }} as words,
    updated_run
from marked
