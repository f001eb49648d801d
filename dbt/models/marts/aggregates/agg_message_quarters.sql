{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

{# Counts of entries: the aggregates over days and hours are made of these few rows. #}

select
    {{ quarter_no('said_at') }} as quarter_no,
    session_id,
    project_key,
    cast(
        count(*) filter (where message_kind in ('prompt', 'answer')) as integer
    ) as conversation_messages,
    cast(
        count(*) filter (where message_kind in ('prompt', 'queued_prompt')) as integer
    ) as prompts,
    cast(count(*) filter (where message_kind = 'command') as integer) as commands,
    cast(count(*) filter (where type = 'user') as integer) as user_messages,
    cast(count(*) filter (where type = 'assistant') as integer) as assistant_messages,
    cast(count(*) filter (where type = 'attachment') as integer) as attachments,
    cast(count(*) filter (where message_kind = 'api_error') as integer) as api_errors,
    cast(count(*) as integer) as entries,
    max(updated_run) as updated_run
from {{ ref('fct_messages') }} as facts
where {{ newer('facts') }}
group by {{ quarter_no('said_at') }}, session_id, project_key
