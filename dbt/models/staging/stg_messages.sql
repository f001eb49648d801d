{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['doc_id', 'part']
) }}

{%- set paths = [
    'message.content', 'content', 'attachment.prompt', 'isMeta',
    'isCompactSummary', 'isApiErrorMessage', 'forkedFrom.sessionId',
    'logicalParentUuid', 'origin.kind',
    'promptSource', 'teamName', 'permissionMode', 'entrypoint',
    'attachment.commandMode', 'message.stop_reason',
    'summary', 'aiTitle', 'customTitle', 'leafUuid',
    'compactMetadata.trigger', 'compactMetadata.preTokens', 'durationMs',
    'worktreeSession.originalCwd', 'error',
    'attachment.hookEvent', 'sessionKind',
    'toolDenialKind', 'data.agentId', 'parentToolUseID', 'continuedInSessionId',
    'data.hookEvent', 'hookCount', 'operation'
] %}
{%- set columns = [
    'doc_id', 'part', 'entry_key', 'uuid', 'canonical_uuid', 'parent_uuid',
    'logical_parent_uuid', 'forked_from_session_id', 'leaf_uuid', 'continued_in_session_id',
    'session_id', 'message_id', 'request_id', 'extract_run', 'host', 'project_id',
    'source_file', 'file_key', 'gen', 'off', 'cwd', 'git_branch', 'agent_id',
    'is_agent_file', 'is_sidechain', 'type', 'subtype', 'model', 'version', 'entrypoint',
    'stop_reason', 'is_meta', 'is_compact_summary', 'is_api_error', 'origin_kind',
    'prompt_source', 'permission_mode', 'command_mode', 'hook_event', 'hook_runs',
    'tool_denial_kind', 'compact_trigger', 'compact_pre_tokens', 'duration_ms',
    'original_cwd', 'summary', 'ai_title', 'custom_title', 'queue_operation', 'api_error',
    'session_kind', 'progress_agent_id', 'parent_tool_use_id', 'text_hash', 'block_types',
    'has_images', 'text_chars', 'is_unreadable', 'is_blank', 'said_at', 'ingested_at'
] %}

with lines as (

    select *
    from {{ ref('stg_lines') }} as conversations
    where
        record_kind in ('line', 'salvaged')
        and entry is not null
        and not is_history
        and session_id is not null
        and {{ new_lines('conversations') }}

),

bodies as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ few_at_a_time('lines', 'entry') }}

),

objects as (

    select
        *,
        {{ json_strings('body', paths) }} as f,
        coalesce(
            json_type(body, '$.message.content'),
            json_type(body, '$.content'),
            json_type(body, '$.attachment.prompt')
        ) as content_type
    from bodies
    -- What DuckDB cannot parse is kept, and named by its kind.
    where body is null or json_type(body) = 'OBJECT'

),

contents as (

    select
        *,
        coalesce(
            {{ picked('f', paths, 'message.content') }},
            {{ picked('f', paths, 'content') }},
            {{ picked('f', paths, 'attachment.prompt') }}
        )
            as content
    from objects

),

texts as (

    select
        *,
        {% call(kind, text) by_row('text', 'content_type', 'content') -%}
            case {{ kind }}
                when 'VARCHAR' then {{ text }}
                when 'ARRAY'
                    then
                        case
                            -- Plain strings may stand among the blocks.
                            when list_contains(json_type({{ text }}, '$[*]'), 'VARCHAR')
                                then
                                    array_to_string(
                                        list_transform(
                                            json_extract({{ text }}, '$[*]'),
                                            lambda block: {{ block_text('block') }}
                                        ),
                                        chr(10)
                                    )
                            else
                                array_to_string(
                                    json_extract_string({{ text }}, '$[*].text'), chr(10)
                                )
                        end
            end
        {%- endcall %} as plain,
        {% call(kind, text) by_row('texts', 'content_type', 'content') -%}
            case {{ kind }}
                when 'VARCHAR' then ['text']
                when 'ARRAY' then json_extract_string({{ text }}, '$[*].type')
            end
        {%- endcall %} as block_types
    from contents

),

counted as (

    select
        *,
        {% call(kind, text, types) by_row(
            'bigint', 'content_type', 'content', 'block_types'
        ) -%}
            case {{ kind }}
                when 'VARCHAR' then 1
                when 'ARRAY' then len(list_filter({{ types }}, lambda kind: kind is not null))
                when 'OBJECT' then len(json_keys({{ text }}))
                when 'NULL' then 0
            end
        {%- endcall %} as parts
    from texts

),

{# What Claude Code or an IDE adds to the words of the user is left out. #}
worded as (

    select
        *,
        case
            when type in ('user', 'attachment', 'queue-operation')
                then {{ without_context('plain') }}
            else plain
        end as words
    from counted

),

renamed as (

    select
        -- ids
        doc_id,
        part,
        {{ key_of(
            "case when canonical_uuid is not null then 'u:' || canonical_uuid"
            " else 'x:' || session_id || ':' || md5(entry) end"
        ) }} as entry_key,
        uuid,
        canonical_uuid,
        parent_uuid,
        {{ picked('f', paths, 'logicalParentUuid') }} as logical_parent_uuid,
        nullif({{ picked('f', paths, 'forkedFrom.sessionId') }}, '') as forked_from_session_id,
        {{ picked('f', paths, 'leafUuid') }} as leaf_uuid,
        nullif({{ picked('f', paths, 'continuedInSessionId') }}, '') as continued_in_session_id,
        session_id,
        message_id,
        request_id,
        extract_run,

        -- where
        host,
        project_id,
        source_file,
        file_key,
        gen,
        off,
        cwd,
        git_branch,
        {{ named_agent() }} as agent_id,
        file_agent_id is not null as is_agent_file,
        coalesce(is_sidechain, false) as is_sidechain,

        -- what
        coalesce(type, '') as type,
        subtype,
        model,
        version,
        {{ picked('f', paths, 'entrypoint') }} as entrypoint,
        {{ picked('f', paths, 'message.stop_reason') }} as stop_reason,
        {{ picked('f', paths, 'isMeta') }} = 'true' as is_meta,
        {{ picked('f', paths, 'isCompactSummary') }} = 'true' as is_compact_summary,
        {{ picked('f', paths, 'isApiErrorMessage') }} = 'true' as is_api_error,
        {{ picked('f', paths, 'origin.kind') }} as origin_kind,
        {{ picked('f', paths, 'promptSource') }} as prompt_source,
        {{ picked('f', paths, 'permissionMode') }} as permission_mode,
        {{ picked('f', paths, 'attachment.commandMode') }} as command_mode,
        coalesce(
            {{ picked('f', paths, 'attachment.hookEvent') }},
            {{ picked('f', paths, 'data.hookEvent') }},
            case when subtype = 'stop_hook_summary' then 'Stop' end
        ) as hook_event,
        case
            when type = 'system' and subtype = 'stop_hook_summary'
                then
                    coalesce(
                        {{ tokens(picked('f', paths, 'hookCount')) }},
                        {{ json_length('body', '$.hookInfos') }}
                    )
            when type = 'progress' and subtype = 'hook_progress' then 1
            when type = 'attachment' and left(subtype, 5) = 'hook_' then 1
        end as hook_runs,
        {{ picked('f', paths, 'toolDenialKind') }} as tool_denial_kind,
        {{ picked('f', paths, 'compactMetadata.trigger') }} as compact_trigger,
        {{ tokens(picked('f', paths, 'compactMetadata.preTokens')) }} as compact_pre_tokens,
        {{ whole_number(picked('f', paths, 'durationMs')) }} as duration_ms,
        {{ picked('f', paths, 'worktreeSession.originalCwd') }} as original_cwd,
        {{ picked('f', paths, 'summary') }} as summary,
        {{ picked('f', paths, 'aiTitle') }} as ai_title,
        {{ picked('f', paths, 'customTitle') }} as custom_title,
        {{ picked('f', paths, 'operation') }} as queue_operation,
        {{ picked('f', paths, 'error') }} as api_error,
        {{ picked('f', paths, 'sessionKind') }} as session_kind,
        {{ picked('f', paths, 'data.agentId') }} as progress_agent_id,
        {{ call_id(
            picked('f', paths, 'parentToolUseID'), 'session_id', named_agent()
        ) }} as parent_tool_use_id,
        -- Only what begins a thread of its own is compared by its words.
        case
            when type = 'user' and (is_sidechain or file_agent_id is not null)
                then md5(trim(plain))
        end as text_hash,

        -- text
        block_types,
        contains(entry, '"base64"') as has_images,
        coalesce(length(plain), 0) as text_chars,
        case
            when type = 'assistant' then left(plain, 200)
            else left({{ trimmed_start('words') }}, 2000)
        end as text_head,
        body is null as is_unreadable,
        -- Nothing was said: no words, and no other block.
        body is not null
        and {% call(text, types, count) by_row('bool', 'words', 'block_types', 'parts') -%}
            coalesce(trim({{ text }}, {{ blanks() }}), '') = ''
            and len(list_filter(coalesce({{ types }}, []), lambda kind: kind = 'text'))
            = coalesce({{ count }}, 0)
        {%- endcall %} as is_blank,

        -- times
        said_at,
        ingested_at
    from worded

)

select
    {% for column in columns -%}
        {{ column }},
    {% endfor -%}
    -- That of an answer only says which kind it is.
    case when type <> 'assistant' then text_head end as text_head,
    {{ message_kind() }} as message_kind
from renamed
