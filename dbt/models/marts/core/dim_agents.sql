{{ config(materialized='table') }}

with recursive members as (

    select
        session_id,
        agent_id,
        min(said_at) as started_at,
        max(said_at) as ended_at,
        count(*) filter (where type in ('user', 'assistant')) as messages
    from {{ ref('fct_messages') }}
    where agent_id is not null
    group by session_id, agent_id

),

{# The folder of a workflow run holds the files of its subagents. #}
runs as (

    select
        session_id,
        agent_id,
        max(
            regexp_extract(source_file, '/subagents/workflows/([^/]+)/agent-', 1)
        ) as workflow_run_id
    from {{ ref('stg_messages') }}
    where
        is_agent_file
        and agent_id is not null
        and source_file like '%/subagents/workflows/%/agent-%'
    group by session_id, agent_id

),

run_callers as (

    select
        session_id,
        workflow_run_id,
        min(tool_use_id) as tool_use_id,
        min_by(agent_id, tool_use_id) as agent_id
    from {{ ref('fct_tool_calls') }}
    where workflow_run_id is not null
    group by session_id, workflow_run_id

),

named_callers as (

    select
        session_id,
        subagent_id as agent_id,
        min(tool_use_id) as tool_use_id,
        min_by(agent_id, tool_use_id) as parent_agent_id,
        min_by(subagent_type, tool_use_id) as agent_type,
        min_by(description, tool_use_id) as description
    from {{ ref('fct_tool_calls') }}
    where subagent_id is not null and subagent_id is distinct from agent_id
    group by session_id, subagent_id

),

callers as (

    select
        session_id,
        agent_id,
        tool_use_id,
        parent_agent_id,
        agent_type,
        description
    from named_callers
    union all
    select
        runs.session_id,
        runs.agent_id,
        run_callers.tool_use_id,
        run_callers.agent_id as parent_agent_id,
        cast(null as string) as agent_type,
        cast(null as string) as description
    from runs
    inner join run_callers
        on
            runs.session_id = run_callers.session_id
            and runs.workflow_run_id = run_callers.workflow_run_id
    where
        run_callers.agent_id is distinct from runs.agent_id
        and not exists (
            select 1
            from named_callers
            where
                named_callers.session_id = runs.session_id
                and named_callers.agent_id = runs.agent_id
        )

),

{# `union` keeps each pair once, so that agents in a circle end the walk. #}
ancestors as (

    {{ ancestors('ancestors', 'callers', 'agent_id', 'parent_agent_id', 'session_id') }}

),

depths as (

    select
        session_id,
        agent_id,
        count(*) as above
    from ancestors
    group by session_id, agent_id

),

responses as (

    select
        session_id,
        agent_id,
        count(*) as api_responses,
        count(*) filter (where not is_priced) as unpriced_responses,
        sum(total_tokens) as total_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_api_responses') }}
    where agent_id is not null
    group by session_id, agent_id

),

calls as (

    select
        session_id,
        agent_id,
        count(*) as tool_calls
    from {{ ref('fct_tool_calls') }}
    where agent_id is not null
    group by session_id, agent_id

),

{# A file that is rewritten brings another document: the newest counts. #}
meta as (

    select
        session_id,
        agent_id,
        max_by(agent_type, (extract_run, doc_id)) as agent_type,
        max_by(description, (extract_run, doc_id)) as description
    from {{ ref('stg_agent_meta') }}
    group by session_id, agent_id

)

select
    members.session_id,
    members.agent_id,
    callers.tool_use_id,
    callers.parent_agent_id,
    cast(coalesce(depths.above, 0) + 1 as integer) as depth,
    coalesce(callers.agent_type, meta.agent_type) as agent_type,
    coalesce(callers.description, meta.description) as description,
    runs.workflow_run_id,
    members.started_at,
    members.ended_at,
    cast(members.messages as integer) as messages,
    cast(coalesce(calls.tool_calls, 0) as integer) as tool_calls,
    cast(coalesce(responses.api_responses, 0) as integer) as api_responses,
    cast(
        coalesce(responses.unpriced_responses, 0) as integer
    ) as unpriced_responses,
    cast(coalesce(responses.total_tokens, 0) as bigint) as total_tokens,
    {{ cost_column('responses', 'agent_id') }}
from members
left join callers
    on
        members.session_id = callers.session_id
        and members.agent_id = callers.agent_id
left join runs
    on
        members.session_id = runs.session_id
        and members.agent_id = runs.agent_id
left join meta
    on
        members.session_id = meta.session_id
        and members.agent_id = meta.agent_id
left join depths
    on
        members.session_id = depths.session_id
        and members.agent_id = depths.agent_id
left join responses
    on
        members.session_id = responses.session_id
        and members.agent_id = responses.agent_id
left join calls
    on
        members.session_id = calls.session_id
        and members.agent_id = calls.agent_id
