{{ config(materialized='table') }}

select
    project_key,
    coalesce(
        nullif(regexp_extract(any_value(project_path), '([^/]+)/*$', 1), ''),
        any_value(project_path)
    ) as project_name,
    any_value(project_path) as project_path,
    cast(count(*) as integer) as sessions,
    min(started_at) as first_seen_at,
    max(ended_at) as last_seen_at
from {{ ref('int_sessions_computed') }}
group by project_key
