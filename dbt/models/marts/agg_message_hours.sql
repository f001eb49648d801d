{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

{# Counts of entries: the aggregates over days and kinds are made of these few rows. #}

select
    session_id,
    project_key,
    type,
    subtype,
    message_kind,
    date_trunc('hour', said_at) as said_hour,
    cast(count(*) as integer) as messages,
    min(said_at) as first_said_at,
    max(said_at) as last_said_at,
    max(updated_run) as updated_run
from {{ ref('fct_messages') }} as facts
where {{ newer('facts') }}
group by session_id, project_key, type, subtype, message_kind, said_hour
