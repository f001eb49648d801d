{{ config(materialized='table') }}

{# What the logs are made of, so that a record type never seen before shows. #}

select
    type,
    coalesce(subtype, '') as subtype,
    cast(count(*) as bigint) as records,
    cast(count(distinct session_id) as bigint) as sessions,
    min(said_at) as first_said_at,
    max(said_at) as last_said_at
from {{ ref('fct_messages') }}
group by type, coalesce(subtype, '')
