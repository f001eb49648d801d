{{ config(materialized='view') }}

{%- set paths = ['display', 'project', 'timestamp', 'sessionId'] %}

{# history.jsonl keeps what was typed after the transcripts have been deleted. #}

with lines as (

    select
        *,
        {{ valid_json('entry') }} as body
    from {{ ref('stg_conversations') }}
    where is_history and record_kind in ('line', 'salvaged')

),

picked as (

    select
        *,
        {{ json_strings('body', paths) }} as f
    from lines
    where json_type(body) = 'OBJECT'

),

renamed as (

    select
        doc_id,
        part,
        host,
        {{ picked('f', paths, 'sessionId') }} as session_id,
        {{ picked('f', paths, 'project') }} as project_path,
        {{ picked('f', paths, 'display') }} as prompt_text,
        case
            when
                {{ whole_number(picked('f', paths, 'timestamp')) }}
                between 0 and 4102444800000
                then
                    {{ at_millis(whole_number(picked('f', paths, 'timestamp'))) }}
            else {{ log_time(picked('f', paths, 'timestamp')) }}
        end as prompted_at,
        extract_run
    from picked

)

select * from renamed
