{{ config(materialized='table') }}

{#
    The session and the original of each loose line. Both may become known by a line
    that arrives later: `extract_run` is that of the newest line that they depend on, so
    the line then counts as new.
#}

with recursive lines as (

    select * from {{ ref('stg_loose_lines') }}

),

{# A record without a session belongs to that of the other records of its file. #}
files as (

    select
        file_key,
        path_session_id,
        session_id,
        place_run
    from (
        select
            wanted.file_key,
            wanted.path_session_id,
            sessions.session_id,
            sessions.place_run,
            row_number() over (
                partition by wanted.file_key, wanted.path_session_id
                order by
                    sessions.session_id is distinct from wanted.path_session_id,
                    sessions.place
            ) as rank
        from (
            select distinct
                file_key,
                path_session_id
            from lines
            where own_session_id is null
        ) as wanted
        inner join {{ ref('stg_file_sessions') }} as sessions
            on wanted.file_key = sessions.file_key
    ) as ranked
    where rank = 1

),

copies as (

    select
        uuid,
        min(origin_uuid) as origin_uuid,
        min_by(extract_run, (origin_uuid, extract_run)) as extract_run
    from lines
    where uuid is not null and origin_uuid is not null
    group by uuid

),

{# A fork of a fork names the copy that it was made from; a circle ends the walk. #}
{{ originals() }}

)

select
    lines.doc_id,
    lines.part,
    lines.file_key,
    lines.path_session_id,
    lines.own_session_id is null as is_nameless,
    coalesce(lines.own_session_id, files.session_id, lines.path_session_id) as session_id,
    coalesce(originals.origin_uuid, lines.origin_uuid, lines.uuid) as canonical_uuid,
    lines.said_at,
    lines.extract_run as line_run,
    {{ greatest_known(
        'lines.extract_run',
        'case when lines.own_session_id is null then files.place_run end',
        'originals.extract_run'
    ) }} as extract_run
from lines
left join files
    on
        lines.file_key = files.file_key
        and lines.path_session_id is not distinct from files.path_session_id
left join originals
    on coalesce(lines.origin_uuid, lines.uuid) = originals.uuid
