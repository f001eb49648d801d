{{ config(materialized='view') }}

select
    {{ quarter_day() }} as date_day,
    cast(hour({{ quarter_start() }}) as integer) as hour_of_day,
    cast({{ weekday_number(quarter_start()) }} as integer) as iso_weekday,
    project_key,
    cast(sum(prompts) as integer) as prompts,
    cast(sum(user_messages) as integer) as user_messages,
    cast(sum(assistant_messages) as integer) as assistant_messages,
    cast(count(distinct session_id) as integer) as sessions
from {{ ref('agg_message_quarters') }}
where
    quarter_no is not null
    and user_messages + assistant_messages + attachments > 0
group by 1, 2, 3, 4
