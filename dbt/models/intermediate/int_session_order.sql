{{ config(materialized='table') }}

{#
    Which of several sessions had a common entry first, where its time does not tell.
    Marks of the log decide: who was made from whom. Then what the sessions show: which
    began first, which was archived before any of them continued alone, and which left
    the common records first (one that never did is a part of the other). Names come
    last. A parent always stands before its children, so there is never a circle.
#}

with recursive bonds as (

    select *
    from {{ ref('int_bonds') }}
    where group_key <> ''

),

sessions as (

    select
        session_id,
        min(extract_run) as first_run
    from {{ ref('stg_messages') }}
    group by session_id

),

shared as (

    select counted.*
    from (
        select
            bonds.*,
            count(*) over (partition by bonds.group_key) as sharers
        from bonds
        where bonds.has_entry
    ) as counted
    where counted.sharers > 1

),

{# What the records say of who was made from whom. #}
named as (

    select
        session_id,
        forked_from_session_id as parent_id,
        min(extract_run) as mark_run
    from {{ ref('stg_messages') }}
    where forked_from_session_id is not null
    group by session_id, forked_from_session_id
    union all
    select
        continued_in_session_id as session_id,
        session_id as parent_id,
        min(extract_run) as mark_run
    from {{ ref('stg_messages') }}
    where continued_in_session_id is not null
    group by continued_in_session_id, session_id

),

background as (

    select
        session_id,
        min(extract_run) as mark_run
    from {{ ref('stg_messages') }}
    where session_kind = 'bg'
    group by session_id

),

{# A background session continues the one that it shares entries with. #}
moved as (

    select
        copy.session_id,
        origin.session_id as parent_id,
        min(background.mark_run) as mark_run
    from background
    inner join shared as copy on background.session_id = copy.session_id
    inner join shared as origin on copy.group_key = origin.group_key
    where
        background.session_id not in (select named.session_id from named)
        and origin.session_id not in (select others.session_id from background as others)
        and not exists (
            select 1
            from named
            where
                named.session_id = origin.session_id
                and named.parent_id = copy.session_id
        )
    group by copy.session_id, origin.session_id

),

{# A session that copies nothing may begin with the child of another's entry. #}
begun as (

    select
        child.session_id,
        parent.session_id as parent_id,
        max(child.first_run) as mark_run
    from bonds as child
    inner join bonds as parent on child.group_key = parent.group_key
    where
        child.has_parent
        and not child.has_entry
        and parent.has_entry
        and child.session_id not in (select shared.session_id from shared)
    group by child.session_id, parent.session_id

),

edges as (

    select
        marks.session_id,
        marks.parent_id,
        max({{ greatest_known('marks.mark_run', 'sessions.first_run') }}) as mark_run
    from (
        select * from named
        union all
        select * from moved
        union all
        select * from begun
    ) as marks
    inner join sessions on marks.parent_id = sessions.session_id
    where marks.session_id <> marks.parent_id
    group by marks.session_id, marks.parent_id

),

{# `union` keeps each pair once, so that a circle of marks ends the walk. #}
lineage as (

    {{ ancestors('lineage', 'edges', 'session_id', 'parent_id') }}

),

descents as (

    select
        steps.session_id,
        max(edges.mark_run) as mark_run
    from (
        select
            session_id,
            session_id as child_id
        from lineage
        union all
        select
            session_id,
            ancestor_id as child_id
        from lineage
    ) as steps
    inner join edges on steps.child_id = edges.session_id
    group by steps.session_id

),

{# Made from a session that is in no file, and from none that is. #}
orphans as (

    select
        session_id,
        max(mark_run) as mark_run
    from named
    where
        parent_id <> session_id
        and session_id not in (select edges.session_id from edges)
    group by session_id

),

related as (

    select session_id from bonds
    union
    select session_id from edges
    union
    select parent_id as session_id from edges

),

facts as (

    select
        messages.session_id,
        min(messages.said_at) as started_at,
        min_by(messages.extract_run, (messages.said_at, messages.extract_run)) as start_run,
        min(messages.ingested_at) as seen_at,
        min_by(messages.extract_run, (messages.ingested_at, messages.extract_run)) as seen_run,
        min(messages.said_at) filter (where shared.session_id is null) as alone_at,
        min_by(messages.extract_run, (messages.said_at, messages.extract_run)) filter (
            where shared.session_id is null
        ) as alone_run
    from {{ ref('stg_messages') }} as messages
    left join shared
        on
            messages.entry_key = shared.group_key
            and messages.session_id = shared.session_id
    where
        messages.canonical_uuid is not null
        and messages.said_at is not null
        and messages.session_id in (select related.session_id from related)
    group by messages.session_id

),

{# When the entries of a session had ever fewer sharers. #}
partings as (

    select
        session_id,
        {{ listed('parted_at', 'sharers desc') }} as parted_at
    from (
        select
            session_id,
            sharers,
            min(said_at) as parted_at
        from shared
        where said_at is not null
        group by session_id, sharers
        union all
        select
            session_id,
            1 as sharers,
            alone_at as parted_at
        from facts
        where alone_at is not null
    ) as levels
    group by session_id

),

{# When the first of those that share an entry was alone. #}
first_alone as (

    select
        shared.session_id,
        min(groups.alone_at) as alone_at,
        max(groups.alone_run) as alone_run
    from shared
    inner join (
        select
            members.group_key,
            min(facts.alone_at) as alone_at,
            max(facts.alone_run) as alone_run
        from shared as members
        inner join facts on members.session_id = facts.session_id
        group by members.group_key
    ) as groups
        on shared.group_key = groups.group_key
    group by shared.session_id
),

{# In which order they were begun, as far as their records show. #}
evidence as (

    select
        related.session_id,
        row_number() over (
            order by
                background.session_id is not null,
                orphans.session_id is not null,
                facts.started_at nulls last,
                case when facts.seen_at < first_alone.alone_at then facts.seen_at end nulls last,
                partings.parted_at nulls last,
                facts.seen_at nulls last,
                related.session_id
        ) as place,
        {{ greatest_known(
            'descents.mark_run',
            'background.mark_run',
            'orphans.mark_run',
            'facts.start_run',
            'facts.seen_run',
            'facts.alone_run',
            'first_alone.alone_run'
        ) }} as facts_run
    from related
    left join descents on related.session_id = descents.session_id
    left join background on related.session_id = background.session_id
    left join orphans on related.session_id = orphans.session_id
    left join facts on related.session_id = facts.session_id
    left join partings on related.session_id = partings.session_id
    left join first_alone on related.session_id = first_alone.session_id

),

{# A session is never older than one that it was made from. #}
lifted as (

    select
        steps.session_id,
        count(*) as steps,
        max(evidence.place) as place,
        max(evidence.facts_run) as facts_run
    from (
        select
            session_id,
            session_id as ancestor_id
        from related
        union
        select
            session_id,
            ancestor_id
        from lineage
    ) as steps
    inner join evidence on steps.ancestor_id = evidence.session_id
    group by steps.session_id

)

select
    lifted.session_id,
    continued.parent_id as continued_from_session_id,
    cast(
        row_number() over (order by lifted.place, lifted.steps, evidence.place) as bigint
    ) as owner_rank,
    coalesce(lifted.facts_run, -1) as facts_run
from lifted
inner join evidence on lifted.session_id = evidence.session_id
left join (
    select
        messages.continued_in_session_id as session_id,
        min(messages.session_id) as parent_id
    from {{ ref('stg_messages') }} as messages
    where
        messages.continued_in_session_id is not null
        and messages.continued_in_session_id <> messages.session_id
    group by messages.continued_in_session_id
) as continued
    on lifted.session_id = continued.session_id
