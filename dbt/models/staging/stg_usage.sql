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
    'message.usage.speed', 'message.usage.iterations',
    'message.usage.iterations[0].type', 'requestId', 'uuid',
    'timestamp', 'forkedFrom.messageUuid', 'message.role',
    'costUSD'
] %}

with lines as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ ref('stg_lines') }} as conversations
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

{#
    Taken out of each line as a list, so that the lines are read once and held nowhere.
    A line of progress has one message, and then others.
#}
listed as (

    select
        *,
        case when type = 'assistant' then 'line' else 'progress' end as found_in,
        case
            when type = 'assistant' then agent_id
            else json_extract_string(body, '$.data.agentId')
        end as record_agent_id,
        {% call(kind, text) by_row('texts', 'type', 'body') -%}
            case
                when {{ kind }} = 'assistant' and json_type({{ text }}) = 'OBJECT' then [{{ text }}]
                when {{ kind }} = 'progress'
                    then
                        list_prepend(
                            case
                                when json_type({{ text }}, '$.data.message') = 'OBJECT'
                                    then cast(json_extract({{ text }}, '$.data.message') as string)
                            end,
                            case
                                when json_type({{ text }}, '$.data.normalizedMessages') = 'ARRAY'
                                    then
                                        cast(
                                            json_extract(
                                                {{ text }}, '$.data.normalizedMessages[*]'
                                            ) as varchar[]
                                        )
                                else []
                            end
                        )
            end
        {%- endcall %} as found
    from lines

),

records as (

    select
        *,
        {{ each('found', 'record', 'record_no', 0) }}
    from listed

),

picked as (

    select
        *,
        {{ json_strings('record', paths) }} as f,
        {{ json_length('record', '$.message.usage.iterations') }} as listed_count
    from records
    where record is not null

),

{# One item only repeats what the top level says, unless it is another model's. #}
counted as (

    select
        *,
        case
            when
                listed_count > 1
                or (
                    listed_count = 1
                    and {{ picked('f', paths, 'message.usage.iterations[0].type') }}
                    = 'advisor_message'
                )
                then
                    {% call(text) by_row('texts', 'record') -%}
                        list_filter(
                            json_extract({{ text }}, '$.message.usage.iterations[*]'),
                            lambda item: coalesce(
                                json_extract_string(item, '$.input_tokens'),
                                json_extract_string(item, '$.output_tokens'),
                                json_extract_string(item, '$.cache_creation_input_tokens'),
                                json_extract_string(item, '$.cache_read_input_tokens')
                            ) is not null
                        )
                    {%- endcall %}
        end as counted_items
    from picked

),

{# Where only advisors are listed, the top level is the model that answered. #}
completed as (

    select
        *,
        {% call(items, text) by_row('texts', 'counted_items', 'record') -%}
            case
                when
                    len({{ items }}) > 0
                    and len({{ items }}) = len(
                        list_filter(
                            {{ items }},
                            lambda item: json_extract_string(item, '$.type') = 'advisor_message'
                        )
                    )
                    then
                        list_prepend(
                            json_merge_patch(
                                json_extract({{ text }}, '$.message.usage'),
                                '{"iterations": null, "type": "message"}'
                            ),
                            {{ items }}
                        )
                else {{ items }}
            end
        {%- endcall %} as items
    from counted

),

parsed as (

    select
        *,
        coalesce({{ list_size('items') }}, listed_count) as iteration_count
    from completed

),

renamed as (

    select
        -- ids
        doc_id,
        part,
        record_no,
        coalesce(
            {{ scalar(picked('f', paths, 'message.id')) }},
            'uuid:'
            || coalesce(
                case when found_in = 'line' then canonical_uuid end,
                {{ picked('f', paths, 'forkedFrom.messageUuid') }},
                {{ picked('f', paths, 'uuid') }},
                doc_id
            )
        ) as message_id,
        {{ scalar(picked('f', paths, 'requestId')) }} as request_id,
        coalesce(
            case when found_in = 'line' then canonical_uuid end,
            {{ picked('f', paths, 'forkedFrom.messageUuid') }},
            {{ picked('f', paths, 'uuid') }},
            doc_id || '-' || part
        ) as canonical_uuid,
        session_id,
        extract_run,

        -- where
        host,
        source_file,
        file_key,
        gen,
        off,
        found_in,
        coalesce(
            file_agent_id,
            case
                when found_in = 'progress' or is_sidechain
                    then record_agent_id
            end
        ) as agent_id,
        coalesce(is_sidechain, false) or found_in = 'progress' as is_sidechain,

        -- what
        {{ scalar(picked('f', paths, 'message.model')) }} as model,
        {{ picked('f', paths, 'message.stop_reason') }} as stop_reason,
        {{ version_number('version') }} as version_number,
        {{ picked('f', paths, 'message.usage.speed') }} as speed,
        {{ picked('f', paths, 'message.usage.inference_geo') }} as inference_geo,
        {{ picked('f', paths, 'message.usage.service_tier') }} as service_tier,
        case
            when iteration_count > 1
                then {{ json_list('items') }}
        end as iterations,
        coalesce(iteration_count, 0) as iteration_count,
        -- An object without any counter says as little as none: absence is not zero.
        coalesce(
            json_type(record, '$.message.usage') = 'OBJECT'
            and (
                iteration_count > 0
                or coalesce(
                    {{ picked('f', paths, 'message.usage.input_tokens') }},
                    {{ picked('f', paths, 'message.usage.output_tokens') }},
                    {{ picked('f', paths, 'message.usage.cache_creation_input_tokens') }},
                    {{ picked('f', paths, 'message.usage.cache_read_input_tokens') }}
                ) is not null
            ),
            false
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
        cast({{ decimal_text(picked('f', paths, 'costUSD')) }} as decimal(20, 10)) as logged_cost_usd,

        -- times
        coalesce(
            {{ log_time(picked('f', paths, 'timestamp')) }}, said_at
        ) as said_at
    from parsed
    where
        json_type(record, '$.message') = 'OBJECT'
        and (
            found_in = 'line'
            or {{ picked('f', paths, 'message.role') }} = 'assistant'
        )
        -- A record that names neither a message nor its usage counts nothing.
        and (
            {{ scalar(picked('f', paths, 'message.id')) }} is not null
            or json_type(record, '$.message.usage') = 'OBJECT'
        )

)

select * from renamed
