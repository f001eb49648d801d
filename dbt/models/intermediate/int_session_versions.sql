{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='session_id'
) }}

{#
    A row of a session can depend on lines of other sessions: copies of an
    entry, records of one API message, results of one tool call, titles that
    name an entry. Each such bond is a group. A session's version is the newest
    extraction run that brought a line to any group that it has a line in, its
    first run the oldest one.
#}

with links as not materialized (

    select
        entry_key as group_key,
        session_id,
        extract_run
    from {{ ref('stg_messages') }}
    union all
    select
        md5('u:' || leaf_uuid) as group_key,
        session_id,
        extract_run
    from {{ ref('stg_messages') }}
    where leaf_uuid is not null
    union all
    select
        md5('u:' || parent_uuid) as group_key,
        session_id,
        extract_run
    from {{ ref('stg_messages') }}
    where {{ may_continue() }}
    union all
    select
        'm:' || message_id as group_key,
        session_id,
        extract_run
    from {{ ref('stg_usage') }}
    union all
    select
        't:' || tool_use_id as group_key,
        session_id,
        extract_run
    from {{ ref('stg_tool_calls') }}
    union all
    select
        't:' || tool_use_id as group_key,
        session_id,
        extract_run
    from {{ ref('stg_tool_results') }}

),

changed_groups as (

    select
        group_key,
        max(extract_run) as version_run
    from links
    {% if is_incremental() -%}
        where extract_run > (select coalesce(max(version_run), -1) from {{ this }})
    {%- endif %}
    group by group_key

),

members as (

    select
        links.group_key,
        links.session_id,
        min(links.extract_run) as first_run,
        max(changed_groups.version_run) as version_run
    from links
    inner join changed_groups on links.group_key = changed_groups.group_key
    group by links.group_key, links.session_id

),

groups as (

    select
        *,
        min(first_run) over (partition by group_key) as group_first_run
    from members

)

select
    groups.session_id,
    max(groups.version_run) as version_run,
    {% if is_incremental() -%}
        -- A group that has not changed was counted when it did.
        {{ least_known('min(groups.group_first_run)', 'min(known.first_run)') }} as first_run
    {%- else -%}
        min(groups.group_first_run) as first_run
    {%- endif %}
from groups
{% if is_incremental() -%}
    left join {{ this }} as known on groups.session_id = known.session_id
{% endif -%}
group by groups.session_id
