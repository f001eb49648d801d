{{ config(materialized='view') }}

{%- set paths = ['agentType', 'description'] %}

{#
    The file beside a subagent's log says how the subagent was started. It is one JSON
    object, which bronze has as text; `raw` is set if the file holds anything else.
#}

with chunks as (

    select
        *,
        {{ decoded('entry', 'raw') }} as body
    from {{ ref('stg_conversations') }}
    where
        record_kind = 'chunk'
        and source_file like '%/subagents/%agent-%.meta.json'

),

picked as (

    select
        *,
        {{ json_strings('body', paths) }} as f
    from chunks
    where json_valid(body)

),

renamed as (

    select
        doc_id,
        part,
        regexp_extract(source_file, '([^/]+)/subagents/', 1) as session_id,
        regexp_extract(source_file, 'agent-([^/]+)[.]meta[.]json$', 1) as agent_id,
        {{ picked('f', paths, 'agentType') }} as agent_type,
        {{ picked('f', paths, 'description') }} as description,
        extract_run
    from picked

)

select * from renamed
