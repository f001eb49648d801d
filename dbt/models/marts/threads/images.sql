{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='image_key'
) }}

{#
    An image is its bytes: what is known stays, whatever entry it came with. The bytes
    themselves stay in their line, where `image_data` finds them.
#}

with lines as (

    select
        conversations.doc_id,
        conversations.part,
        conversations.extract_run,
        conversations.entry
    from {{ ref('stg_conversations') }} as conversations
    inner join {{ ref('stg_messages') }} as messages
        on
            conversations.doc_id = messages.doc_id
            and conversations.part = messages.part
    where
        messages.has_images
        and {{ new_lines('messages') }}
        and {{ new_lines('conversations') }}

),

bodies as (

    select
        doc_id,
        part,
        extract_run,
        {{ valid_json('entry') }} as body
    from {{ few_at_a_time('lines', 'entry') }}

),

lists as (

    select
        doc_id,
        part,
        extract_run,
        {{ image_blocks('body') }} as blocks
    from bodies

),

blocks as (

    select
        doc_id,
        part,
        extract_run,
        {{ each('blocks', 'block', 'place') }}
    from lists

),

sources as (

    select
        doc_id,
        part,
        extract_run,
        place,
        {{ json_strings('block', ['source.media_type', 'source.data']) }} as f
    from blocks
    where
        json_extract_string(block, '$.type') = 'image'
        and json_type(block, '$.source.data') = 'VARCHAR'

),

keys as (

    select
        doc_id,
        part,
        extract_run,
        place,
        {{ list_item('f', 1) }} as media_type,
        {{ image_name(list_item('f', 1), list_item('f', 2)) }} as image_key,
        {% call(text) by_row('bigint', list_item('f', 2)) -%}
            octet_length(try(from_base64({{ text }})))
        {%- endcall %} as bytes
    from sources

),

{# Of several lines with an image the first is kept, and nothing is held but these. #}
first_sources as (

    select
        image_key,
        min(
            {{ structure(['extract_run', 'doc_id', 'part', 'place', 'media_type', 'bytes']) }}
        ) as source
    from keys
    group by image_key

)

select
    image_key,
    source.media_type,
    source.bytes,
    source.doc_id,
    source.part,
    source.place,
    source.extract_run
from first_sources
where
    image_key is not null
    {% if is_incremental() -%}
        and image_key not in (select known.image_key from {{ this }} as known)
    {%- endif %}
