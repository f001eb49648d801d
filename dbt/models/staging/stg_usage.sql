{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['doc_id', 'part']
) }}

{%- set paths = [
    'message.id', 'message.model', 'message.stop_reason',
    'message.usage.input_tokens', 'message.usage.output_tokens',
    'message.usage.cache_creation_input_tokens',
    'message.usage.cache_read_input_tokens',
    'message.usage.cache_creation.ephemeral_5m_input_tokens',
    'message.usage.cache_creation.ephemeral_1h_input_tokens',
    'message.usage.server_tool_use.web_search_requests',
    'message.usage.service_tier', 'message.usage.inference_geo',
    'message.usage.speed', 'message.usage.iterations', 'requestId', 'uuid',
    'timestamp', 'forkedFrom.messageUuid', 'message.role',
    'costUSD'
] %}

with lines as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ ref('stg_conversations') }} as conversations
    where
        record_kind in ('line', 'salvaged')
        and entry is not null
        and not is_history
        and session_id is not null
        and (
            type = 'assistant'
            or (type = 'progress' and subtype = 'agent_progress')
        )
        and {{ new_lines('conversations') }}

),

records as (

    select
        doc_id,
        part,
        0 as record_no,
        'line' as found_in,
        agent_id as record_agent_id,
        body as record
    from lines
    where type = 'assistant' and json_type(body) = 'OBJECT'
    union all
    select
        doc_id,
        part,
        0 as record_no,
        'progress' as found_in,
        json_extract_string(body, '$.data.agentId') as record_agent_id,
        json_extract(body, '$.data.message') as record
    from lines
    where
        type = 'progress' and json_type(body, '$.data.message') = 'OBJECT'
    union all
    select
        doc_id,
        part,
        unnest(
            generate_series(1, cast(json_array_length(body, '$.data.normalizedMessages') as bigint))
        ) as record_no,
        'progress' as found_in,
        json_extract_string(body, '$.data.agentId') as record_agent_id,
        unnest(json_extract(body, '$.data.normalizedMessages[*]')) as record
    from lines
    where
        type = 'progress' and json_type(body, '$.data.normalizedMessages') = 'ARRAY'

),

parsed as (

    select
        *,
        {{ json_strings('record', paths) }} as f,
        json_array_length(record, '$.message.usage.iterations') as iteration_count
    from records

),

renamed as (

    select
        -- ids
        parsed.doc_id,
        parsed.part,
        parsed.record_no,
        coalesce(
            {{ scalar(picked('f', paths, 'message.id')) }},
            'uuid:'
            || coalesce(
                {{ picked('f', paths, 'forkedFrom.messageUuid') }},
                {{ picked('f', paths, 'uuid') }},
                parsed.doc_id
            )
        ) as message_id,
        {{ scalar(picked('f', paths, 'requestId')) }} as request_id,
        coalesce(
            {{ picked('f', paths, 'forkedFrom.messageUuid') }},
            {{ picked('f', paths, 'uuid') }},
            parsed.doc_id || '-' || parsed.part
        ) as canonical_uuid,
        lines.session_id,
        lines.extract_run,

        -- where
        lines.host,
        lines.source_file,
        lines.file_key,
        lines.gen,
        lines.off,
        parsed.found_in,
        coalesce(
            lines.file_agent_id,
            case
                when parsed.found_in = 'progress' or lines.is_sidechain
                    then parsed.record_agent_id
            end
        ) as agent_id,
        coalesce(lines.is_sidechain, false) or parsed.found_in = 'progress' as is_sidechain,

        -- what
        {{ scalar(picked('f', paths, 'message.model')) }} as model,
        {{ picked('f', paths, 'message.stop_reason') }} as stop_reason,
        {{ version_number('lines.version') }} as version_number,
        {{ picked('f', paths, 'message.usage.speed') }} as speed,
        {{ picked('f', paths, 'message.usage.inference_geo') }} as inference_geo,
        {{ picked('f', paths, 'message.usage.service_tier') }} as service_tier,
        case
            when parsed.iteration_count > 1
                then {{ picked('f', paths, 'message.usage.iterations') }}
        end as iterations,
        coalesce(parsed.iteration_count, 0) as iteration_count,
        coalesce(
            json_type(parsed.record, '$.message.usage') = 'OBJECT', false
        ) as has_usage,

        -- counters
        {{ tokens(picked('f', paths, 'message.usage.input_tokens')) }} as input_tokens,
        {{ tokens(picked('f', paths, 'message.usage.output_tokens')) }} as output_tokens,
        {{ tokens(picked('f', paths, 'message.usage.cache_creation_input_tokens')) }}
            as cache_write_flat_tokens,
        {{ tokens(picked('f', paths, 'message.usage.cache_creation.ephemeral_5m_input_tokens')) }}
            as cache_write_5m_tokens,
        {{ tokens(picked('f', paths, 'message.usage.cache_creation.ephemeral_1h_input_tokens')) }}
            as cache_write_1h_tokens,
        {{ tokens(picked('f', paths, 'message.usage.cache_read_input_tokens')) }}
            as cache_read_tokens,
        {{ tokens(picked('f', paths, 'message.usage.server_tool_use.web_search_requests')) }}
            as web_search_requests,
        try_cast({{ picked('f', paths, 'costUSD') }} as decimal(20, 10)) as logged_cost_usd,

        -- times
        coalesce(
            {{ log_time(picked('f', paths, 'timestamp')) }}, lines.said_at
        ) as said_at
    from parsed
    inner join lines
        on parsed.doc_id = lines.doc_id and parsed.part = lines.part
    where
        json_type(parsed.record, '$.message') = 'OBJECT'
        and (
            parsed.found_in = 'line'
            or {{ picked('f', paths, 'message.role') }} = 'assistant'
        )
        -- A record that names neither a message nor its usage counts nothing.
        and (
            {{ scalar(picked('f', paths, 'message.id')) }} is not null
            or json_type(parsed.record, '$.message.usage') = 'OBJECT'
        )

)

select * from renamed
