{{ config(materialized='table') }}

select
    cast(said_at as date) as date_day,
    cast(hour(said_at) as integer) as hour_of_day,
    cast(isodow(said_at) as integer) as iso_weekday,
    project_key,
    cast(
        count(*) filter (
            where message_kind in ('prompt', 'queued_prompt')
        ) as integer
    ) as prompts,
    cast(count(*) filter (where type = 'user') as integer) as user_messages,
    cast(
        count(*) filter (where type = 'assistant') as integer
    ) as assistant_messages,
    cast(count(distinct session_id) as integer) as sessions
from {{ ref('fct_messages') }}
where said_at is not null and type in ('user', 'assistant', 'attachment')
group by all
