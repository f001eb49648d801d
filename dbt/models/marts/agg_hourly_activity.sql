{{ config(materialized='table') }}

select
    cast(said_hour as date) as date_day,
    cast(hour(said_hour) as integer) as hour_of_day,
    cast(isodow(said_hour) as integer) as iso_weekday,
    project_key,
    cast(
        coalesce(sum(messages) filter (
            where message_kind in ('prompt', 'queued_prompt')
        ), 0) as integer
    ) as prompts,
    cast(coalesce(sum(messages) filter (where type = 'user'), 0) as integer) as user_messages,
    cast(
        coalesce(sum(messages) filter (where type = 'assistant'), 0) as integer
    ) as assistant_messages,
    cast(count(distinct session_id) as integer) as sessions
from {{ ref('agg_message_hours') }}
where said_hour is not null and type in ('user', 'assistant', 'attachment')
group by all
