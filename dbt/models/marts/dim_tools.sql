{{ config(materialized='table') }}

select
    tool_name,
    any_value(tool_category) as category,
    starts_with(tool_name, 'mcp__') as is_mcp,
    case
        when starts_with(tool_name, 'mcp__')
            then nullif(split_part(tool_name, '__', 2), '')
    end as mcp_server,
    cast(count(*) as integer) as calls,
    min(called_at) as first_used_at,
    max(called_at) as last_used_at
from {{ ref('fct_tool_calls') }}
group by tool_name
