{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{# The first copy of an entry stands for it; the others are counted. #}

with changed as (

    {{ changed_sessions() }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

affected_keys as (

    select distinct messages.entry_key
    from stg_messages as messages
    inner join changed on messages.session_id = changed.session_id

),

copies as (

    select
        messages.entry_key,
        messages.doc_id,
        messages.part,
        messages.session_id,
        row_number() over (
            partition by messages.entry_key
            order by {{ earliest('messages', 'orders') }}
        ) as rank,
        count(*) over (partition by messages.entry_key) as copies
    from stg_messages as messages
    inner join affected_keys on messages.entry_key = affected_keys.entry_key
    left join {{ ref('int_session_order') }} as orders
        on messages.session_id = orders.session_id

)

select
    copies.entry_key,
    copies.doc_id,
    copies.part,
    copies.session_id,
    copies.copies,
    changed.version_run as updated_run
from copies
inner join changed on copies.session_id = changed.session_id
where copies.rank = 1
