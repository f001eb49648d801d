{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

with changed as (

    {{ changed_sessions() }}

),

int_threads as {{ inlined() }} (

    {{ within_reach(ref('int_threads'), 'updated_run', own=true) }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

int_response_parts as {{ inlined() }} (

    {{ within_reach(ref('int_response_parts'), 'updated_run', own=true) }}

),

int_canonical_entries as {{ inlined() }} (

    {{ within_reach(ref('int_canonical_entries'), 'updated_run') }}

),

stg_usage as {{ inlined() }} (

    {{ within_reach(ref('stg_usage'), 'extract_run') }}

),

int_api_responses as {{ inlined() }} (

    {{ within_reach(ref('int_api_responses'), 'updated_run') }}

),

lines as (

    select
        messages.*,
        threads.line_no,
        threads.is_copy,
        messages.message_kind in ('prompt', 'queued_prompt') as is_prompt
    from int_threads as threads
    inner join changed on threads.session_id = changed.session_id
    inner join stg_messages as messages
        on threads.doc_id = messages.doc_id and threads.part = messages.part

),

{# Own entries say when a session was; copies only where there is nothing else. #}
spans as (

    select
        session_id,
        min(host) as host,
        coalesce(
            min(said_at) filter (where not is_copy), min(said_at)
        ) as started_at,
        coalesce(
            max(said_at) filter (where not is_copy), max(said_at)
        ) as ended_at,
        min_by(cwd, line_no) filter (where cwd <> '') as cwd,
        min_by(original_cwd, line_no) filter (
            where original_cwd is not null
        ) as original_cwd,
        min_by(project_id, line_no) as project_id,
        max_by(git_branch, line_no) filter (
            where git_branch <> '' and git_branch <> 'HEAD'
        ) as git_branch,
        max_by(version, line_no) filter (where version <> '') as claude_version,
        max_by(entrypoint, line_no) filter (
            where entrypoint is not null
        ) as entrypoint,
        min_by(text_head, line_no) filter (
            where message_kind = 'prompt' and trim(text_head) <> ''
        ) as first_prompt,
        min_by(text_head, line_no) filter (
            where message_kind = 'unsent_prompt'
        ) as unsent_prompt,
        max_by(custom_title, line_no) filter (
            where trim(custom_title) <> ''
        ) as custom_title,
        max_by(ai_title, line_no) filter (
            where trim(ai_title) <> ''
        ) as ai_title,
        max_by(forked_from_session_id, line_no) filter (
            where forked_from_session_id is not null
            and forked_from_session_id <> session_id
        ) as forked_from_session_id,
        bool_or(coalesce(session_kind = 'bg', false)) as is_background
    from lines
    group by session_id

),

{# The models that answered, and those that they asked or fell back from. #}
answering as (

    select distinct
        lines.session_id,
        names.model_name
    from lines
    inner join {{ ref('int_model_names') }} as names on lines.model = names.model
    where lines.model <> '<synthetic>'
    union
    select
        parts.session_id,
        names.model_name
    from int_response_parts as parts
    inner join changed on parts.session_id = changed.session_id
    inner join {{ ref('int_model_names') }} as names on parts.model = names.model
    where parts.is_item

),

models as (

    select
        session_id,
        {{ text_of_all('model_name', ', ', 'model_name') }} as models
    from answering
    group by session_id

),

{# A summary names the conversation that ends in its leaf, in whatever file. #}
summaries as (

    select
        entries.session_id,
        max_by(
            titles.summary, (titles.source_file, titles.gen, titles.off, titles.doc_id, titles.part)
        ) as summary
    from stg_messages as titles
    inner join int_canonical_entries as entries
        on {{ key_of("'u:' || titles.leaf_uuid") }} = entries.entry_key
    inner join changed on entries.session_id = changed.session_id
    where titles.type = 'summary' and trim(titles.summary) <> ''
    group by entries.session_id

),

gaps as (

    select
        session_id,
        {{ millis('said_at') }} - lag({{ millis('said_at') }}) over (
            partition by session_id order by said_at nulls last
        ) as gap_ms
    from lines
    where not is_copy and said_at is not null and type <> 'queue-operation'

),

active as (

    select
        session_id,
        sum({{ at_most('gap_ms', 300000) }}) / 1000.0 as active_s
    from gaps
    group by session_id

),

{# The session that most of the copied entries come from. #}
origins as (

    select
        lines.session_id,
        entries.session_id as origin_session_id,
        count(*) as copied,
        bool_or(rep.said_at < lines.said_at) as is_retimed
    from lines
    inner join int_canonical_entries as entries
        on lines.entry_key = entries.entry_key
    inner join stg_messages as rep
        on entries.doc_id = rep.doc_id and entries.part = rep.part
    where lines.is_copy and lines.uuid is not null
    group by lines.session_id, entries.session_id
    union all
    -- A copy that changed its uuid still names the same API message.
    select
        usage_records.session_id,
        responses.session_id as origin_session_id,
        count(distinct responses.response_key) as copied,
        min(usage_records.said_at) > min(responses.responded_at) as is_retimed
    from stg_usage as usage_records
    inner join changed on usage_records.session_id = changed.session_id
    inner join int_api_responses as responses
        on
            usage_records.message_id = responses.message_id
            and usage_records.session_id <> responses.session_id
    -- The ids of a gateway may be those of another conversation.
    where responses.sessions > 1 and responses.response_key = responses.message_id
    group by usage_records.session_id, responses.session_id

),

{# A session that copies nothing can still continue from an entry of another. #}
continued as (

    select
        lines.session_id,
        min_by(entries.session_id, lines.line_no) as origin_session_id
    from lines
    inner join int_canonical_entries as entries
        on
            {{ key_of("'u:' || lines.parent_uuid") }} = entries.entry_key
            and lines.session_id <> entries.session_id
    where
        lines.uuid is not null
        and {{ may_continue() }}
    group by lines.session_id

),

{#
    What may be the parent, best first. One that stands after its child in the order of
    sessions is none, so that there is no circle of parents.
#}
candidates as (

    select
        session_id,
        forked_from_session_id as parent_id,
        'fork' as relation,
        1 as preference,
        1 as weight
    from spans
    where forked_from_session_id is not null
    union all
    select
        orders.session_id,
        orders.continued_from_session_id as parent_id,
        'continue' as relation,
        2 as preference,
        1 as weight
    from {{ ref('int_session_order') }} as orders
    inner join changed on orders.session_id = changed.session_id
    where orders.continued_from_session_id is not null
    union all
    select
        session_id,
        origin_session_id as parent_id,
        case
            when bool_or(is_retimed) over (partition by session_id) then 'resume'
            else 'copy'
        end as relation,
        3 as preference,
        copied as weight
    from origins
    union all
    select
        session_id,
        origin_session_id as parent_id,
        'continue' as relation,
        4 as preference,
        1 as weight
    from continued

),

parents as (

    select
        session_id,
        parent_id,
        relation
    from (
        select
            candidates.session_id,
            candidates.parent_id,
            candidates.relation,
            row_number() over (
                partition by candidates.session_id
                order by
                    candidates.preference asc,
                    candidates.weight desc,
                    candidates.parent_id desc
            ) as rank
        from candidates
        left join {{ ref('int_session_order') }} as own
            on candidates.session_id = own.session_id
        left join {{ ref('int_session_order') }} as parent
            on candidates.parent_id = parent.session_id
        where parent.owner_rank is null or parent.owner_rank < own.owner_rank
    ) as ranked
    where rank = 1

)

select
    spans.session_id,
    spans.host,
    {{ key_of(project_path('spans')) }} as project_key,
    {{ project_path('spans') }} as project_path,
    spans.project_id,
    spans.cwd,
    left(
        coalesce(
            spans.custom_title, spans.ai_title, summaries.summary,
            nullif({{ one_line('spans.first_prompt') }}, ''),
            nullif({{ one_line('spans.unsent_prompt') }}, ''),
            spans.session_id
        ), 200
    ) as title,
    case
        when spans.custom_title is not null then 'custom'
        when spans.ai_title is not null then 'ai'
        when summaries.summary is not null then 'summary'
        when trim(spans.first_prompt) <> '' then 'prompt'
        when trim(spans.unsent_prompt) <> '' then 'queued'
        else 'none'
    end as title_source,
    spans.first_prompt,
    spans.git_branch,
    spans.claude_version,
    spans.entrypoint,
    models.models,
    spans.started_at,
    spans.ended_at,
    cast(
        ({{ millis('spans.ended_at') }} - {{ millis('spans.started_at') }}) / 1000.0
        as decimal(18, 3)
    ) as wall_s,
    cast(coalesce(active.active_s, 0) as decimal(18, 3)) as active_s,
    parents.parent_id as parent_session_id,
    case
        when parents.relation is null or parents.relation = 'fork' then parents.relation
        when spans.is_background then 'background'
        else parents.relation
    end as relation,
    changed.version_run as updated_run
from spans
inner join changed on spans.session_id = changed.session_id
left join summaries on spans.session_id = summaries.session_id
left join models on spans.session_id = models.session_id
left join active on spans.session_id = active.session_id
left join parents on spans.session_id = parents.session_id
