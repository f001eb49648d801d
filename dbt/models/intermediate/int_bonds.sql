{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='group_key',
    post_hook="delete from {{ this }} where session_id is null"
) }}

{#
    What sessions have in common: copies of an entry, records of one API message,
    results of one tool call, titles and parents that name an entry of another session.
    Only groups of several sessions are kept. The group without a name has the newest
    run that was seen.
#}

with links as {{ inlined() }} (

    select
        entry_key as group_key,
        'entry' as kind,
        session_id,
        said_at,
        extract_run
    from {{ ref('stg_messages') }}
    union all
    select
        {{ key_of("'u:' || leaf_uuid") }} as group_key,
        'leaf' as kind,
        session_id,
        null as said_at,
        extract_run
    from {{ ref('stg_messages') }}
    where leaf_uuid is not null
    union all
    select
        {{ key_of("'u:' || parent_uuid") }} as group_key,
        'parent' as kind,
        session_id,
        null as said_at,
        extract_run
    from {{ ref('stg_messages') }}
    where {{ may_continue() }}
    union all
    select
        'm:' || message_id as group_key,
        'message' as kind,
        session_id,
        null as said_at,
        extract_run
    from {{ ref('stg_usage') }}
    union all
    select
        't:' || tool_use_id as group_key,
        'call' as kind,
        session_id,
        null as said_at,
        extract_run
    from {{ ref('stg_tool_calls') }}
    union all
    select
        't:' || tool_use_id as group_key,
        'call' as kind,
        session_id,
        null as said_at,
        extract_run
    from {{ ref('stg_tool_results') }}

),

{% if is_incremental() -%}
    seen as (

        select coalesce(max(last_run), -1) as run
        from {{ this }}
        where group_key = ''

    ),

    {# A line that found another session or original may have left a group. #}
    left_groups as (

        select distinct known.group_key
        from {{ this }} as known
        where
            known.session_id in (
                select messages.session_id
                from {{ ref('stg_messages') }} as messages
                where messages.extract_run > (select seen.run from seen)
            )

    ),

    touched as (

        select links.group_key
        from links
        where links.extract_run > (select seen.run from seen)
        union
        select left_groups.group_key from left_groups

    ),

    {# Kept, as comparing the keys of all lines takes longer than anything else here. #}
    found as materialized (

        select links.*
        from links
        where links.group_key in (select touched.group_key from touched)

    ),

{% endif -%}
shared as (

    select group_key
    from {{ 'found' if is_incremental() else 'links' }}
    group by group_key
    having min(session_id) <> max(session_id)

),

members as (

    select
        group_key,
        session_id,
        bool_or(kind = 'entry') as has_entry,
        bool_or(kind = 'parent') as has_parent,
        min(said_at) as said_at,
        min(extract_run) as first_run,
        max(extract_run) as last_run
    from {{ 'found' if is_incremental() else 'links' }}
    where group_key in (select shared.group_key from shared)
    group by group_key, session_id

)

select
    group_key,
    session_id,
    has_entry,
    has_parent,
    said_at,
    first_run,
    last_run
from members
union all
select
    '' as group_key,
    '' as session_id,
    false as has_entry,
    false as has_parent,
    null as said_at,
    -1 as first_run,
    coalesce(max(extract_run), -1) as last_run
from {{ ref('stg_messages') }}
{% if is_incremental() -%}
    union all
    select
        group_key,
        null as session_id,
        false as has_entry,
        false as has_parent,
        null as said_at,
        -1 as first_run,
        -1 as last_run
    from left_groups
    where group_key <> '' and group_key not in (select shared.group_key from shared)
{%- endif %}
