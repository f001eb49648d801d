{{ config(materialized='table') }}

{# A file that is rewritten has another generation: the newest counts. #}
with runs as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by session_id, workflow_run_id
                order by extract_run desc, gen desc, doc_id desc
            ) as rank
        from {{ ref('stg_workflow_runs') }}
    ) as ranked
    where rank = 1

),

callers as (

    select
        session_id,
        workflow_run_id,
        min(tool_use_id) as tool_use_id
    from {{ ref('fct_tool_calls') }}
    where workflow_run_id is not null
    group by session_id, workflow_run_id

)

select
    coalesce(runs.session_id, callers.session_id) as session_id,
    coalesce(runs.workflow_run_id, callers.workflow_run_id) as workflow_run_id,
    callers.tool_use_id,
    runs.workflow_name,
    runs.status,
    cast(runs.agents as integer) as agents,
    cast(runs.total_tokens as bigint) as total_tokens,
    runs.phases,
    runs.result
from runs
full outer join callers
    on
        runs.session_id = callers.session_id
        and runs.workflow_run_id = callers.workflow_run_id
