{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='image_key'
) }}

with lines as (

    select {{ valid_json('conversations.entry') }} as body,
        conversations.extract_run
    from {{ ref('stg_conversations') }} as conversations
    where
        conversations.type in ('user', 'attachment')
        and conversations.record_kind in ('line', 'salvaged')
        and conversations.entry like '%"base64"%'
        and {{ new_lines('conversations') }}

),

blocks as (

    select
        extract_run,
        unnest(
            list_concat(
                json_extract(body, '$.message.content[*]'),
                json_extract(body, '$.message.content[*].content[*]'),
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
    try(from_base64(encoded)) as data,
    extract_run
from distinct_images
where try(from_base64(encoded)) is not null
