{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

-- depends_on: {{ ref('int_session_versions') }}

select
    session_id,
    host,
    project_key,
    title,
    title_source,
    first_prompt,
    git_branch,
    cwd,
    claude_version,
    entrypoint,
    started_at,
    ended_at,
    wall_s,
    active_s,
    parent_session_id,
    relation,
    models,
    updated_run
from {{ ref('int_sessions_computed') }} as sessions
where {{ newer('sessions') }}
