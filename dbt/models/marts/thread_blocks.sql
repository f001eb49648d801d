{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{%- set paths = [
    'type', 'text', 'thinking', 'id', 'name', 'input', 'tool_use_id',
    'is_error', 'title', 'stdout', 'content'
] %}

with changed as (

    {{ changed_sessions() }}

),

shown as (

    select
        entries.entry_key,
        entries.doc_id,
        entries.part,
        entries.session_id,
        entries.updated_run,
        messages.file_key,
        messages.type
    from {{ within_reach(ref('int_canonical_entries'), 'updated_run') }} as entries
    inner join changed on entries.session_id = changed.session_id
    inner join {{ within_reach(ref('int_threads'), 'updated_run') }} as threads
        on
            entries.session_id = threads.session_id
            and entries.entry_key = threads.entry_key
    inner join {{ within_reach(ref('stg_messages'), 'extract_run') }} as messages
        on entries.doc_id = messages.doc_id and entries.part = messages.part
    where threads.position is not null

),

files as (

    select distinct file_key
    from shown

),

bodies as (

    select
        shown.*,
        {{ valid_json('lines.entry') }} as body
    from {{ within_reach(ref('stg_conversations'), 'extract_run') }} as lines
    inner join shown
        on lines.doc_id = shown.doc_id and lines.part = shown.part
    -- Says nothing new, but lets the scan pass over all other files' text.
    where lines.file_key in (select files.file_key from files)

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

{# One row per element of the content; whatever has none is one element. #}
elements as (

    select
        entry_key,
        session_id,
        updated_run,
        body,
        unnest(
            generate_series(1, cast(json_array_length(content) as bigint))
        ) as outer_no,
        unnest(json_extract(content, '$[*]')) as block
    from contents
    where json_type(content) = 'ARRAY'
    union all
    select
        entry_key,
        session_id,
        updated_run,
        body,
        1 as outer_no,
        case
            when json_type(content) = 'VARCHAR' then content
            when type = 'attachment' then json_extract(body, '$.attachment')
            else cast(body as json)
        end as block
    from contents
    where json_type(content) is distinct from 'ARRAY'

),

picked as (

    select
        *,
        {{ json_strings('block', paths) }} as f
    from elements

),

kinds as (

    select
        *,
        {{ block_kind('block', picked('f', paths, 'type')) }} as block_kind
    from picked

),

nested as (

    select
        entry_key,
        session_id,
        updated_run,
        outer_no,
        unnest(
            generate_series(
                1, cast(json_array_length(block, '$.content') as bigint)
            )
        ) as inner_no,
        unnest(json_extract(block, '$.content[*]')) as block
    from kinds
    where
        block_kind = 'tool_result'
        and json_type(block, '$.content') = 'ARRAY'

),

written as (

    select
        entry_key,
        session_id,
        updated_run,
        outer_no,
        0 as inner_no,
        block_kind,
        case block_kind
            when 'text'
                then
                    coalesce(
                        {{ picked('f', paths, 'text') }},
                        json_extract_string(block, '$')
                    )
            when 'thinking' then {{ picked('f', paths, 'thinking') }}
            when 'tool_result' then {{ result_text('block') }}
            when 'document' then {{ picked('f', paths, 'title') }}
            when 'other'
                then
                    coalesce(
                        {{ picked('f', paths, 'stdout') }},
                        {{ picked('f', paths, 'content') }},
                        {{ picked('f', paths, 'text') }}
                    )
        end as text,
        case block_kind
            when 'tool_use' then {{ picked('f', paths, 'id') }}
            when 'tool_result' then {{ picked('f', paths, 'tool_use_id') }}
        end as tool_use_id,
        case
            when block_kind = 'tool_use' then {{ picked('f', paths, 'name') }}
        end as tool_name,
        case
            when block_kind = 'tool_use' then {{ picked('f', paths, 'input') }}
        end as tool_input,
        case
            -- The record has one result for all its blocks: the first has it.
            when block_kind = 'tool_result'
                then
                    case
                        when
                            row_number() over (
                                partition by entry_key, block_kind
                                order by outer_no
                            ) = 1
                            then {{ lean_result('body') }}
                    end
            when block_kind = 'other' and json_type(block) = 'OBJECT'
                then cast(block as varchar)
        end as result_json,
        case
            when block_kind = 'tool_result'
                then
                    coalesce({{ picked('f', paths, 'is_error') }} = 'true', false)
        end as is_error,
        case when block_kind = 'image' then {{ image_key('block') }} end
            as image_key
    from kinds

),

{# Images inside a tool's result follow it as blocks of their own. #}
with_images as (

    select * from written
    union all by name
    select
        entry_key,
        session_id,
        updated_run,
        outer_no,
        inner_no,
        'image' as block_kind,
        {{ image_key('block') }} as image_key
    from nested
    where json_extract_string(block, '$.type') = 'image'

)

select
    entry_key,
    session_id,
    cast(
        row_number() over (
            partition by entry_key order by outer_no, inner_no
        ) as integer
    ) as block_no,
    block_kind,
    text,
    tool_use_id,
    tool_name,
    tool_input,
    result_json,
    is_error,
    image_key,
    updated_run
from with_images
