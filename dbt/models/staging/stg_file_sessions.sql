{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['file_key', 'session_id']
) }}

{# The sessions that the records of a file name, and where each is named first. #}

with named as (

    select
        file_key,
        session_id,
        extract_run,
        {{ structure(['gen', 'off', 'doc_id', 'part']) }} as place
    from {{ ref('stg_conversations') }} as conversations
    where
        record_kind in ('line', 'salvaged')
        and entry is not null
        and not is_history
        and not {{ is_loose('conversations') }}
        and {{ new_lines('conversations', 'last_run') }}
    union all
    select
        file_key,
        own_session_id as session_id,
        extract_run,
        {{ structure(['gen', 'off', 'doc_id', 'part']) }} as place
    from {{ ref('stg_loose_lines') }} as loose_lines
    where
        own_session_id is not null
        and {{ new_lines('loose_lines', 'last_run') }}

),

found as (

    select
        file_key,
        session_id,
        min(place) as place,
        min_by(extract_run, place) as place_run,
        min(extract_run) as first_run,
        max(extract_run) as last_run
    from named
    group by file_key, session_id

),

known as (

    select *
    from found
    {% if is_incremental() -%}
        union all
        select known.*
        from {{ this }} as known
        where
            exists (
                select 1
                from found
                where
                    found.file_key = known.file_key
                    and found.session_id = known.session_id
            )
    {%- endif %}

)

select
    file_key,
    session_id,
    min(place) as place,
    min_by(place_run, place) as place_run,
    min(first_run) as first_run,
    max(last_run) as last_run
from known
group by file_key, session_id
