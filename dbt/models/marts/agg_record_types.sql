{{ config(materialized='table') }}

{# What the logs are made of, so that a record type never seen before shows. #}

select
    type,
    coalesce(subtype, '') as subtype,
    cast(sum(messages) as bigint) as records,
    cast(count(distinct session_id) as bigint) as sessions,
    min(first_said_at) as first_said_at,
    max(last_said_at) as last_said_at
from {{ ref('agg_message_hours') }}
group by type, coalesce(subtype, '')
