{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['doc_id', 'part']
) }}

{%- set paths = [
    'toolUseResult.agentId', 'toolUseResult.agent_id', 'toolUseResult.runId',
    'toolUseResult.durationMs', 'toolUseResult.totalDurationMs',
    'toolUseResult.durationSeconds', 'toolUseResult.filePath',
    'toolUseResult.file.filePath', 'toolUseResult.type',
    'toolUseResult.interrupted', 'toolUseResult.searchCount',
    'toolDenialKind'
] %}

with lines as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ ref('stg_lines') }} as conversations
    where
        type = 'user'
        and record_kind in ('line', 'salvaged')
        and entry is not null
        and not is_history
        and session_id is not null
        and entry like '%tool_result%'
        and {{ new_lines('conversations') }}

),

parsed as (

    select
        doc_id,
        part,
        session_id,
        {{ named_agent() }} as agent_id,
        extract_run,
        {{ json_strings('body', paths) }} as f,
        {{ json_texts('body', '$.toolUseResult.structuredPatch[*].lines[*]') }} as patch_lines,
        coalesce(
            json_type(body, '$.toolUseResult.structuredPatch') = 'ARRAY', false
        ) as has_patch,
        {{ json_elements('body', '$.message.content[*]') }} as blocks
    from lines
    where json_type(body, '$.message.content') = 'ARRAY'

),

results as (

    select
        doc_id,
        part,
        session_id,
        agent_id,
        extract_run,
        f,
        patch_lines,
        has_patch,
        {{ every('blocks') }} as block
    from parsed

),

texts as (

    select
        *,
        {{ call_id(
            "json_extract_string(block, '$.tool_use_id')", 'session_id', 'agent_id'
        ) }} as tool_use_id,
        {% call(item) by_row('text', 'block') -%}
            case json_type({{ item }}, '$.content')
                when 'VARCHAR' then json_extract_string({{ item }}, '$.content')
                when 'ARRAY'
                    then array_to_string(
                            json_extract_string({{ item }}, '$.content[*].text'), chr(10)
                        )
            end
        {%- endcall %} as result_text,
        coalesce(json_extract_string(block, '$.is_error') = 'true', false) as is_error
    from results
    where json_extract_string(block, '$.type') like '%tool_result'

),

renamed as (

    select
        -- ids
        doc_id,
        part,
        tool_use_id,
        session_id,
        extract_run,
        coalesce(
            {{ picked('f', paths, 'toolUseResult.agentId') }},
            {{ picked('f', paths, 'toolUseResult.agent_id') }}
        ) as subagent_id,
        {{ picked('f', paths, 'toolUseResult.runId') }} as workflow_run_id,

        -- what
        is_error,
        -- Says why a call failed.
        case when is_error then left(result_text, 500) end as result_head,
        coalesce(length(result_text), 0) as result_chars,
        {{ picked('f', paths, 'toolDenialKind') }} as tool_denial_kind,
        {{ picked('f', paths, 'toolUseResult.interrupted') }} = 'true' as is_interrupted,
        coalesce(
            {{ picked('f', paths, 'toolUseResult.filePath') }},
            {{ picked('f', paths, 'toolUseResult.file.filePath') }}
        ) as file_path,
        {{ picked('f', paths, 'toolUseResult.type') }} as result_type,
        has_patch,
        {{ lines_with('patch_lines', '+') }} as lines_added,
        {{ lines_with('patch_lines', '-') }} as lines_removed,
        {{ tokens(picked('f', paths, 'toolUseResult.searchCount')) }} as search_count,
        {% call(duration, total, seconds) by_row(
            'bigint',
            picked('f', paths, 'toolUseResult.durationMs'),
            picked('f', paths, 'toolUseResult.totalDurationMs'),
            picked('f', paths, 'toolUseResult.durationSeconds')
        ) -%}
            try_cast(
                coalesce(
                    try_cast({{ duration }} as double),
                    try_cast({{ total }} as double),
                    try_cast({{ seconds }} as double) * 1000
                ) as bigint
            )
        {%- endcall %} as reported_ms
    from texts
    where tool_use_id is not null

)

select * from renamed
