{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['doc_id', 'part']
) }}

{%- set paths = [
    'id', 'name', 'input.file_path', 'input.notebook_path', 'input.path',
    'input.content',
    'input.subagent_type', 'input.description', 'input.prompt'
] %}

with lines as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ ref('stg_lines') }} as conversations
    where
        type = 'assistant'
        and record_kind in ('line', 'salvaged')
        and entry is not null
        and not is_history
        and session_id is not null
        and entry like '%tool_use%'
        and {{ new_lines('conversations') }}

),

blocks as (

    select
        doc_id,
        part,
        session_id,
        {{ named_agent() }} as agent_id,
        extract_run,
        {{ every(json_elements('body', '$.message.content[*]')) }} as block
    from lines
    where json_type(body, '$.message.content') = 'ARRAY'

),

calls as (

    select
        *,
        {{ json_strings('block', paths) }} as f
    from blocks
    where json_extract_string(block, '$.type') like '%tool_use'

),

renamed as (

    select
        -- ids
        doc_id,
        part,
        {{ call_id(picked('f', paths, 'id'), 'session_id', 'agent_id') }}
            as tool_use_id,
        session_id,
        extract_run,

        -- what
        {{ picked('f', paths, 'name') }} as tool_name,
        coalesce(
            {{ picked('f', paths, 'input.file_path') }},
            {{ picked('f', paths, 'input.notebook_path') }}
        ) as file_path,
        {{ picked('f', paths, 'input.subagent_type') }} as subagent_type,
        left({{ picked('f', paths, 'input.description') }}, 500) as description,
        {{ line_count(picked('f', paths, 'input.content')) }} as content_lines,
        md5(trim({{ picked('f', paths, 'input.prompt') }})) as prompt_hash
    from calls
    where nullif({{ picked('f', paths, 'id') }}, '') is not null

)

select * from renamed
