{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

entries as (

    select
        entries.entry_key,
        entries.session_id,
        entries.updated_run,
        lines.type,
        lines.subtype,
        {{ valid_json('lines.entry') }} as body
    from {{ ref('int_canonical_entries') }} as entries
    inner join changed on entries.session_id = changed.session_id
    inner join {{ ref('int_threads') }} as threads
        on
            entries.session_id = threads.session_id
            and entries.entry_key = threads.entry_key
    inner join {{ ref('stg_conversations') }} as lines
        on entries.doc_id = lines.doc_id and entries.part = lines.part
    where threads.position is not null

),

contents as (

    select
        *,
        coalesce(
            json_extract(body, '$.message.content'),
            json_extract(body, '$.content'),
            json_extract(body, '$.attachment.prompt')
        ) as content
    from entries

),

{# One row per element of the content; whatever has none is one element. #}
elements as (

    select
        entry_key,
        session_id,
        updated_run,
        body,
        unnest(generate_series(1, cast(json_array_length(content) as bigint))) as outer_no,
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

kinds as (

    select
        *,
        case
            when json_type(block) = 'VARCHAR' then 'text'
            when json_extract_string(block, '$.type') in ('text', 'thinking', 'image', 'document')
                then json_extract_string(block, '$.type')
            when json_extract_string(block, '$.type') = 'redacted_thinking' then 'thinking'
            when json_extract_string(block, '$.type') like '%tool_use' then 'tool_use'
            when json_extract_string(block, '$.type') like '%tool_result' then 'tool_result'
            else 'other'
        end as block_kind
    from elements

),

nested as (

    select
        entry_key,
        session_id,
        updated_run,
        body,
        outer_no,
        unnest(
            generate_series(1, cast(json_array_length(block, '$.content') as bigint))
        ) as inner_no,
        unnest(json_extract(block, '$.content[*]')) as block
    from kinds
    where
        block_kind = 'tool_result'
        and json_type(block, '$.content') = 'ARRAY'

),

{# Images inside a tool's result follow it as blocks of their own. #}
with_images as (

    select
        entry_key,
        session_id,
        updated_run,
        body,
        outer_no,
        0 as inner_no,
        block_kind,
        block
    from kinds
    union all
    select
        entry_key,
        session_id,
        updated_run,
        body,
        outer_no,
        inner_no,
        'image' as block_kind,
        block
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
    case block_kind
        when 'text'
            then
                case
                    when json_type(block) = 'VARCHAR'
                        then json_extract_string(block, '$')
                    else json_extract_string(block, '$.text')
                end
        when 'thinking' then json_extract_string(block, '$.thinking')
        when 'tool_result' then {{ result_text('block') }}
        when 'document' then json_extract_string(block, '$.title')
        when 'other'
            then
                coalesce(
                    json_extract_string(block, '$.stdout'),
                    json_extract_string(block, '$.content'),
                    json_extract_string(block, '$.text')
                )
    end as text,
    case block_kind
        when 'tool_use' then json_extract_string(block, '$.id')
        when 'tool_result' then json_extract_string(block, '$.tool_use_id')
    end as tool_use_id,
    case when block_kind = 'tool_use' then json_extract_string(block, '$.name') end as tool_name,
    case
        when block_kind = 'tool_use'
            then cast(json_extract(block, '$.input') as varchar)
    end as tool_input,
    case
        when block_kind = 'tool_result' and inner_no = 0 and outer_no = min(outer_no) filter (where block_kind = 'tool_result') over (partition by entry_key)
            then {{ lean_result('body') }}
        when block_kind = 'other' and json_type(block) = 'OBJECT'
            then cast(block as varchar)
    end as result_json,
    case
        when block_kind = 'tool_result'
            then coalesce(json_extract_string(block, '$.is_error') = 'true', false)
    end as is_error,
    case when block_kind = 'image' then {{ image_key('block') }} end as image_key,
    updated_run
from with_images
