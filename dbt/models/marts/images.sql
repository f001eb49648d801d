{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='image_key'
) }}

{# An image is its bytes: what is known stays, whatever entry it came with. #}

with lines as (

    select
        conversations.extract_run,
        {{ valid_json('conversations.entry') }} as body
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

blocks as (

    select
        extract_run,
        unnest(
            list_concat(
                json_extract(body, '$.message.content[*]'),
                json_extract(body, '$.message.content[*].content[*]'),
                json_extract(body, '$.content[*]'),
                json_extract(body, '$.attachment.prompt[*]')
            )
        ) as block
    from lines

),

sources as (

    select
        extract_run,
        {{ image_key('block') }} as image_key,
        json_extract_string(block, '$.source.media_type') as media_type,
        json_extract_string(block, '$.source.data') as encoded
    from blocks
    where json_extract_string(block, '$.type') = 'image'

),

distinct_images as (

    select
        image_key,
        min(media_type) as media_type,
        min(encoded) as encoded,
        min(extract_run) as extract_run
    from sources
    where image_key is not null
    group by image_key

)

select
    image_key,
    media_type,
    from_base64(encoded) as data,
    extract_run
from distinct_images
{% if is_incremental() -%}
    where image_key not in (select known.image_key from {{ this }} as known)
{%- endif %}
