{{ config(materialized='table') }}

with prompts as (

    select *
    from {{ ref('stg_history') }}
    where trim(prompt_text) <> ''

),

sessions as (

    select distinct session_id
    from {{ ref('agg_message_quarters') }}
    where prompts + commands > 0

)

select
    prompts.doc_id,
    prompts.part,
    prompts.host,
    prompts.session_id,
    prompts.project_path,
    prompts.prompt_text,
    prompts.prompted_at,
    -- Null where the history does not say which session it was.
    case
        when prompts.session_id is not null
            then sessions.session_id is not null
    end as has_transcript
from prompts
left join sessions on prompts.session_id = sessions.session_id
