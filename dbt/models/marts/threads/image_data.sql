{{ config(materialized='view') }}

{#
    Decoded when somebody asks. Each image names its line, so a few of them are a few
    lines to read: DuckDB skips the parts of the table that other runs brought.
#}

with lines as (

    select
        images.image_key,
        images.place,
        conversations.entry
    from {{ ref('images') }} as images
    inner join {{ ref('stg_conversations') }} as conversations
        on
            images.extract_run = conversations.extract_run
            and images.doc_id = conversations.doc_id
            and images.part = conversations.part

),

bodies as (

    select
        image_key,
        place,
        {{ valid_json('entry') }} as body
    from {{ few_at_a_time('lines', 'entry') }}

),

blocks as (

    select
        image_key,
        {{ list_item(image_blocks('body'), 'place') }} as block
    from bodies

)

select
    image_key,
    {{ bytes_of("json_extract_string(block, '$.source.data')") }} as data
from blocks
