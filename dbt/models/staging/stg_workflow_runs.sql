{{ config(materialized='view') }}

{%- set paths = [
    'runId', 'workflowName', 'status', 'agentCount', 'totalTokens', 'error'
] %}

{#
    The file of a workflow run holds its result: `<session>/workflows/<run>.json`. It is
    one JSON object, which bronze has as text; `raw` is set if the file holds anything
    else, and has the pieces of a file that is longer than a chunk.
#}

with chunks as (

    select
        doc_id,
        part,
        file_key,
        source_file,
        gen,
        off,
        extract_run,
        {{ decoded('entry', 'raw') }} as piece
    from {{ ref('stg_conversations') }}
    where
        record_kind = 'chunk'
        and source_file like '%/workflows/%.json'
        and source_file not like '%/subagents/%'

),

files as (

    select
        min(doc_id) as doc_id,
        max(source_file) as source_file,
        gen,
        max(extract_run) as extract_run,
        {{ text_of_all('piece', '', 'off, part') }} as body
    from chunks
    group by file_key, gen

),

valid as (

    select
        doc_id,
        source_file,
        gen,
        extract_run,
        {{ valid_json('body') }} as body
    from files

),

picked as (

    select
        *,
        {{ json_strings('body', paths) }} as f
    from valid
    where json_type(body) = 'OBJECT'

),

renamed as (

    select
        doc_id,
        regexp_extract(source_file, '([^/]+)/workflows/', 1) as session_id,
        coalesce(
            nullif({{ picked('f', paths, 'runId') }}, ''),
            regexp_extract(source_file, '([^/]+)[.]json$', 1)
        ) as workflow_run_id,
        {{ picked('f', paths, 'workflowName') }} as workflow_name,
        {{ picked('f', paths, 'status') }} as status,
        {{ tokens(picked('f', paths, 'agentCount')) }} as agents,
        {{ tokens(picked('f', paths, 'totalTokens')) }} as total_tokens,
        cast(json_extract(body, '$.phases') as string) as phases,
        coalesce(
            json_extract_string(body, '$.result'), {{ picked('f', paths, 'error') }}
        ) as result,
        gen,
        extract_run
    from picked

)

select * from renamed
