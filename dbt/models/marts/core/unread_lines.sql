{{ config(materialized='table') }}

{#
    Archived lines that gold cannot read, with the reason. Lines without any content are
    left out.
#}

with lines as (

    select
        doc_id,
        part,
        host,
        source_file,
        off,
        len,
        session_id,
        type,
        message_id,
        model,
        error,
        raw
    from {{ ref('stg_conversations') }}
    where
        record_kind = 'line'
        and not is_history
        and error is not null
        and entry is null

),

salvaged as (

    select distinct doc_id
    from {{ ref('stg_conversations') }}
    where record_kind = 'salvaged'

),

broken as (

    select
        lines.doc_id,
        lines.part,
        lines.host,
        lines.source_file,
        lines.off,
        lines.len,
        lines.session_id,
        lines.type,
        lines.message_id,
        lines.model,
        {% call(bytes) by_row('bool', 'lines.raw') -%}
            coalesce(regexp_matches(try(decode({{ bytes }})), '"type"\s*:\s*"assistant"'), false)
        {%- endcall %} as is_response,
        {% call(text) by_row('text', 'lines.error') -%}
            regexp_replace({{ text }}, ': line \d+ column .*$', '')
        {%- endcall %} as reason
    from lines
    where
        lines.doc_id not in (select salvaged.doc_id from salvaged)
        and {% call(bytes) by_row('bool', 'lines.raw') -%}
            coalesce(
                trim(try(decode({{ bytes }})), chr(0) || chr(9) || chr(10) || chr(13) || ' ') <> '',
                true
            )
        {%- endcall %}

),

named as (

    select
        doc_id,
        part,
        session_id,
        'DuckDB cannot parse this JSON' as reason
    from {{ ref('stg_messages') }}
    where is_unreadable
    union all
    select
        doc_id,
        part,
        null as session_id,
        'no session: neither the record nor its file names one' as reason
    from {{ ref('stg_resolved_lines') }}
    where session_id is null

),

unread as (

    select
        conversations.doc_id,
        conversations.part,
        conversations.host,
        conversations.source_file,
        conversations.off,
        conversations.len,
        named.session_id,
        conversations.type,
        conversations.message_id,
        conversations.model,
        coalesce(conversations.type = 'assistant', false) as is_response,
        named.reason
    from named
    inner join {{ ref('stg_conversations') }} as conversations
        on
            named.doc_id = conversations.doc_id
            and named.part = conversations.part

)

select * from broken
union all
select * from unread
