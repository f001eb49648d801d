{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{%- set columns = [
    'tool_use_id', 'message_id', 'session_id', 'host', 'tool_name', 'is_error', 'error_kind',
    'is_interrupted', 'has_call', 'has_result', 'duration_ms', 'reported_ms', 'result_chars',
    'workflow_run_id', 'subagent_type', 'description', 'file_path', 'content_lines',
    'result_type', 'has_patch', 'lines_added', 'lines_removed', 'search_count',
    'call_entry_key', 'result_entry_key', 'called_at', 'answered_at', 'agent_id',
    'turn_number', 'updated_run'
] %}

with changed as (

    {{ changed_sessions() }}

),

stg_tool_calls as {{ inlined() }} (

    {{ within_reach(ref('stg_tool_calls'), 'extract_run') }}

),

stg_tool_results as {{ inlined() }} (

    {{ within_reach(ref('stg_tool_results'), 'extract_run') }}

),

int_canonical_entries as {{ inlined() }} (

    {{ within_reach(ref('int_canonical_entries'), 'updated_run', own=true) }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

int_threads as {{ inlined() }} (

    {{ within_reach(ref('int_threads'), 'updated_run', own=true) }}

),

affected as (

    select calls.tool_use_id
    from stg_tool_calls as calls
    inner join changed on calls.session_id = changed.session_id
    union
    select results.tool_use_id
    from stg_tool_results as results
    inner join changed on results.session_id = changed.session_id

),

{# The copies of a call whose id says which session it is in are not other calls. #}
standing as (

    select
        entries.doc_id,
        entries.part
    from int_canonical_entries as entries
    inner join changed on entries.session_id = changed.session_id

),

calls as (

    select
        calls.*,
        messages.entry_key,
        messages.host,
        messages.agent_id,
        messages.message_id,
        messages.said_at,
        row_number() over (
            partition by calls.tool_use_id order by {{ earliest('messages', 'orders') }}
        ) as rank
    from stg_tool_calls as calls
    inner join affected on calls.tool_use_id = affected.tool_use_id
    inner join stg_messages as messages
        on calls.doc_id = messages.doc_id and calls.part = messages.part
    left join {{ ref('int_session_order') }} as orders
        on messages.session_id = orders.session_id
    left join standing
        on calls.doc_id = standing.doc_id and calls.part = standing.part
    where
        standing.doc_id is not null
        or not {{ is_counted_id('calls.tool_use_id') }}

),

results as (

    select
        results.*,
        messages.entry_key,
        messages.host,
        messages.agent_id,
        messages.said_at,
        row_number() over (
            partition by results.tool_use_id order by {{ earliest('messages', 'orders') }}
        ) as rank
    from stg_tool_results as results
    inner join affected on results.tool_use_id = affected.tool_use_id
    inner join stg_messages as messages
        on results.doc_id = messages.doc_id and results.part = messages.part
    left join {{ ref('int_session_order') }} as orders
        on messages.session_id = orders.session_id
    left join standing
        on results.doc_id = standing.doc_id and results.part = standing.part
    where
        standing.doc_id is not null
        or not {{ is_counted_id('results.tool_use_id') }}

),

paired as (

    select
        affected.tool_use_id,
        calls.message_id,
        coalesce(calls.session_id, results.session_id) as session_id,
        coalesce(calls.host, results.host) as host,
        coalesce(calls.agent_id, results.agent_id) as own_agent_id,
        coalesce(nullif(calls.tool_name, ''), 'unknown') as tool_name,
        results.is_error,
        case
            when results.is_error
                then
                    {{ error_kind(
                        'results.result_head', 'results.tool_denial_kind'
                    ) }}
        end as error_kind,
        coalesce(results.is_interrupted, false) as is_interrupted,
        calls.tool_use_id is not null as has_call,
        results.tool_use_id is not null as has_result,
        {{ at_least(millis('results.said_at') ~ ' - ' ~ millis('calls.said_at'), 0) }}
            as duration_ms,
        results.reported_ms,
        results.result_chars,
        results.subagent_id as result_subagent_id,
        case
            when calls.tool_name = 'Workflow' then results.workflow_run_id
        end as workflow_run_id,
        calls.subagent_type,
        calls.description,
        calls.prompt_hash,
        coalesce(calls.file_path, results.file_path) as file_path,
        calls.content_lines,
        results.result_type,
        results.has_patch,
        results.lines_added,
        results.lines_removed,
        results.search_count,
        calls.entry_key as call_entry_key,
        results.entry_key as result_entry_key,
        coalesce(calls.said_at, results.said_at) as called_at,
        results.said_at as answered_at
    from affected
    left join calls
        on affected.tool_use_id = calls.tool_use_id and calls.rank = 1
    left join results
        on affected.tool_use_id = results.tool_use_id and results.rank = 1

),

threaded as (

    select
        paired.*,
        coalesce(threads.agent_id, paired.own_agent_id) as agent_id,
        threads.turn_number,
        threads.line_no,
        changed.version_run as updated_run
    from paired
    inner join changed on paired.session_id = changed.session_id
    left join int_threads as threads
        on
            paired.session_id = threads.session_id
            and coalesce(paired.call_entry_key, paired.result_entry_key)
            = threads.entry_key

),

{# Where the result does not name the agent, records of its progress may. #}
by_progress as (

    select
        messages.session_id,
        messages.parent_tool_use_id as tool_use_id,
        min(messages.progress_agent_id) as subagent_id
    from stg_messages as messages
    inner join changed on messages.session_id = changed.session_id
    where
        messages.progress_agent_id is not null
        and messages.parent_tool_use_id is not null
    group by messages.session_id, messages.parent_tool_use_id

),

named as (

    select
        threaded.*,
        coalesce(threaded.result_subagent_id, by_progress.subagent_id) as subagent_id
    from threaded
    left join by_progress
        on
            threaded.session_id = by_progress.session_id
            and threaded.tool_use_id = by_progress.tool_use_id

),

{#
    Calls inside subagents, and all calls of the oldest logs, are named by
    nothing: there an agent begins with the words of the call that started it.
#}
unnamed_agents as (

    select
        threads.session_id,
        threads.agent_id,
        min_by(messages.text_hash, threads.line_no) as text_hash,
        min(threads.line_no) as line_no
    from int_threads as threads
    inner join changed on threads.session_id = changed.session_id
    inner join stg_messages as messages
        on threads.doc_id = messages.doc_id and threads.part = messages.part
    where
        messages.message_kind = 'agent_prompt'
        and threads.agent_id is not null
        and not exists (
            select 1
            from named
            where
                named.session_id = threads.session_id
                and named.subagent_id = threads.agent_id
        )
    group by threads.session_id, threads.agent_id

),

agents_by_words as (

    select
        session_id,
        agent_id,
        text_hash,
        row_number() over (
            partition by session_id, text_hash order by line_no
        ) as nth
    from unnamed_agents
    where text_hash is not null

),

calls_by_words as (

    select
        session_id,
        tool_use_id,
        prompt_hash,
        row_number() over (
            partition by session_id, prompt_hash order by line_no nulls last, tool_use_id
        ) as nth
    from named
    where prompt_hash is not null and subagent_id is null

)

select
    {% for column in columns -%}
        named.{{ column }},
    {% endfor -%}
    coalesce(named.subagent_id, agents_by_words.agent_id) as subagent_id,
    -- The same tool was called next by the same agent after a failure.
    coalesce(
        named.is_error
        and lead(named.tool_name) over (
            partition by named.session_id, named.agent_id, named.has_call
            order by named.called_at nulls last, named.line_no nulls last, named.tool_use_id
        ) = named.tool_name,
        false
    ) as is_retried
from named
left join calls_by_words
    on
        named.session_id = calls_by_words.session_id
        and named.tool_use_id = calls_by_words.tool_use_id
left join agents_by_words
    on
        calls_by_words.session_id = agents_by_words.session_id
        and calls_by_words.prompt_hash = agents_by_words.text_hash
        and calls_by_words.nth = agents_by_words.nth
