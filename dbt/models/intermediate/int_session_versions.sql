{{ config(materialized='table') }}

{#
    A row of a session can depend on lines of other sessions: those that it shares a
    group with, those that decide which of them had an entry first, and those that say
    which session the lines of a file belong to. A session's version is the newest
    extraction run that brought any of these, its first run the oldest one.
#}

with lines as (

    select
        session_id,
        min(extract_run) as first_run,
        max(extract_run) as version_run
    from {{ ref('stg_messages') }}
    group by session_id

),

bonds as (

    select
        group_key,
        session_id,
        min(first_run) over (partition by group_key) as first_run,
        max(last_run) over (partition by group_key) as version_run
    from {{ ref('int_bonds') }}
    where group_key <> ''

),

{# Changes in what two sessions share may change which stands first. #}
sharing as (

    select
        session_id,
        max(version_run) as version_run
    from bonds
    group by session_id

),

orders as (

    select
        bonds.session_id,
        max(max({{ greatest_known('places.facts_run', 'sharing.version_run') }})) over (
            partition by bonds.group_key
        ) as version_run
    from bonds
    inner join {{ ref('int_session_order') }} as places
        on bonds.session_id = places.session_id
    inner join sharing on bonds.session_id = sharing.session_id
    group by bonds.group_key, bonds.session_id

),

loose as (

    select *
    from {{ ref('stg_resolved_lines') }}

),

nameless_files as (

    select
        file_key,
        min(line_run) as first_run,
        max(extract_run) as version_run
    from loose
    where is_nameless
    group by file_key

),

parts as (

    select
        session_id,
        first_run,
        version_run
    from lines
    union all
    select
        session_id,
        first_run,
        version_run
    from bonds
    union all
    select
        session_id,
        version_run as first_run,
        version_run
    from orders
    union all
    select
        session_id,
        facts_run as first_run,
        facts_run as version_run
    from {{ ref('int_session_order') }}
    union all
    -- A line that found its session late is read where it stands.
    select
        session_id,
        min(line_run) as first_run,
        max(extract_run) as version_run
    from loose
    group by session_id
    union all
    -- Lines may have been taken for another session of their file before.
    select
        sessions.session_id,
        {{ least_known('sessions.first_run', 'nameless_files.first_run') }} as first_run,
        nameless_files.version_run
    from {{ ref('stg_file_sessions') }} as sessions
    inner join nameless_files on sessions.file_key = nameless_files.file_key
    union all
    select
        loose.path_session_id as session_id,
        min(loose.line_run) as first_run,
        max(nameless_files.version_run) as version_run
    from loose
    inner join nameless_files on loose.file_key = nameless_files.file_key
    where loose.is_nameless
    group by loose.path_session_id

)

select
    session_id,
    max(version_run) as version_run,
    min(first_run) as first_run
from parts
where session_id is not null
group by session_id
