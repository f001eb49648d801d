{{ config(materialized='table') }}

select
    tool_name,
    category,
    left(tool_name, 5) = 'mcp__' as is_mcp,
    case
        when left(tool_name, 5) = 'mcp__'
            then nullif(split_part(tool_name, '__', 2), '')
    end as mcp_server,
    calls,
    first_used_at,
    last_used_at
from {{ ref('agg_tool_efficiency') }}
