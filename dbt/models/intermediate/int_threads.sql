{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{#
    The thread of a session as its files tell it: the main file first, then the
    others, each in the order of its lines. Copies belong to the thread of the
    session that they were copied into, and nowhere else.
#}

with recursive changed as (

    {{ changed_sessions() }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

int_canonical_entries as {{ inlined() }} (

    {{ within_reach(ref('int_canonical_entries'), 'updated_run') }}

),

{#
    Until 2.0.2x the lines of subagents stood in the main file without a name.
    Each of their chains gets one, from the entry that it begins with. `union`
    keeps each pair once, so that a cycle ends the walk.
#}
unnamed as (

    select distinct
        messages.session_id,
        messages.uuid,
        messages.parent_uuid
    from stg_messages as messages
    inner join changed on messages.session_id = changed.session_id
    where
        messages.is_sidechain
        and messages.agent_id is null
        and messages.uuid is not null

),

chains as (

    {{ chain_roots() }}

),

named as (

    select
        session_id,
        uuid,
        'side-' || left(md5(min(root_uuid)), 12) as agent_id
    from chains
    group by session_id, uuid

),

lines as (

    select
        messages.session_id,
        messages.entry_key,
        messages.doc_id,
        messages.part,
        coalesce(messages.agent_id, named.agent_id) as agent_id,
        messages.message_kind,
        messages.said_at,
        messages.type,
        messages.queue_operation,
        case
            when messages.message_kind in ('prompt', 'queued_prompt', 'command', 'unsent_prompt')
                then messages.text_head
        end as words,
        row_number() over (
            partition by messages.session_id, messages.entry_key
            order by {{ thread_order('messages') }}
        ) as copy_no,
        row_number() over (
            partition by messages.session_id
            order by {{ thread_order('messages') }}
        ) as line_no,
        changed.version_run
    from stg_messages as messages
    inner join changed on messages.session_id = changed.session_id
    left join named
        on
            messages.session_id = named.session_id
            and messages.uuid = named.uuid

),

{#
    Prompts that waited and were then said stand in the thread already; what was taken
    back from the queue repeats what was put into it.
#}
sent as (

    select distinct
        queued.session_id,
        queued.entry_key
    from lines as queued
    inner join lines as others on queued.session_id = others.session_id
    where
        queued.message_kind = 'unsent_prompt'
        and case
            when others.message_kind <> 'unsent_prompt'
                then
                    contains(
                        chr(10) || others.words || chr(10), chr(10) || queued.words || chr(10)
                    )
            when queued.queue_operation <> 'enqueue' and others.queue_operation = 'enqueue'
                then
                    contains(
                        chr(10) || queued.words || chr(10), chr(10) || others.words || chr(10)
                    )
        end

),

first_copies as (

    select
        lines.*,
        lines.type not in (
            'progress', 'file-history-snapshot', 'file-history-delta',
            'queue-operation', 'last-prompt', 'permission-mode', 'mode',
            'bridge-session', 'agent-setting', 'agent-color',
            'ai-title', 'summary', 'atis-latch',
            'content-replacement', 'worktree-state', 'relocated', 'started',
            'result', 'continued-in'
        )
        or (lines.message_kind = 'unsent_prompt' and sent.entry_key is null) as is_shown,
        coalesce(
            lines.message_kind = 'prompt' and lines.agent_id is null, false
        ) as is_prompt
    from lines
    left join sent
        on lines.session_id = sent.session_id and lines.entry_key = sent.entry_key
    where lines.copy_no = 1

),

numbered as (

    select
        *,
        case
            when is_shown
                then
                    count(case when is_shown then 1 end) over (
                        partition by session_id order by line_no
                    )
        end as position,
        count(case when is_prompt then 1 end) over (
            partition by session_id order by line_no
        ) as prompts_above,
        count(case when is_prompt and said_at is not null then 1 end) over (
            partition by session_id order by said_at nulls last
            range between unbounded preceding and current row
        ) as prompts_before
    from first_copies

)

select
    numbered.session_id,
    numbered.entry_key,
    numbered.doc_id,
    numbered.part,
    numbered.agent_id,
    cast(numbered.position as integer) as position,
    cast(numbered.line_no as integer) as line_no,
    -- A subagent's lines belong to the turn in which they were said.
    cast(
        case
            when numbered.agent_id is null then numbered.prompts_above
            when numbered.said_at is null then 0
            else numbered.prompts_before
        end as integer
    ) as turn_number,
    coalesce(entries.session_id <> numbered.session_id, true) as is_copy,
    numbered.version_run as updated_run
from numbered
left join int_canonical_entries as entries
    on numbered.entry_key = entries.entry_key
