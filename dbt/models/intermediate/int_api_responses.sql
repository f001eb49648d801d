{{ config(
    materialized='incremental',
    incremental_strategy='session',
    unique_key='session_id'
) }}

{%- set columns = [
    'response_key', 'message_id', 'doc_id', 'part', 'request_id', 'session_id', 'host',
    'agent_id', 'is_sidechain', 'found_in', 'responded_at', 'model', 'stop_reason',
    'version_number', 'is_us_only', 'is_batch', 'service_tier', 'has_usage', 'records',
    'sessions', 'input_tokens', 'output_tokens', 'cache_write_flat_tokens',
    'cache_write_5m_tokens', 'cache_write_1h_tokens', 'cache_read_tokens',
    'web_search_requests', 'logged_cost_usd', 'iterations'
] %}

with changed as (

    {{ changed_sessions() }}

),

stg_usage as {{ inlined() }} (

    {{ within_reach(ref('stg_usage'), 'extract_run') }}

),

stg_messages as {{ inlined() }} (

    {{ within_reach(ref('stg_messages'), 'extract_run') }}

),

affected_messages as (

    select distinct usage_records.message_id
    from stg_usage as usage_records
    inner join changed on usage_records.session_id = changed.session_id

),

records as (

    select
        usage_records.*,
        min(usage_records.found_in) over (
            partition by usage_records.message_id
        ) as best_found_in
    from stg_usage as usage_records
    inner join affected_messages
        on usage_records.message_id = affected_messages.message_id
    where usage_records.model is distinct from '<synthetic>'

),

{# An id is only known to be the API's own by its form or its request id. #}
trusted as (

    select
        *,
        bool_or(
            request_id is not null
            or regexp_matches(message_id, '^msg_(01|bdrk|vrtx)')
        ) over (partition by message_id) as is_trusted,
        first_value(canonical_uuid) over (
            partition by message_id, file_key
            order by gen, off, part, record_no
        ) as first_uuid
    from records
    -- Copies in progress records count only where no log file has the message.
    where found_in = best_found_in

),

keyed as (

    select
        *,
        case
            when is_trusted then message_id
            else message_id || '/' || first_uuid
        end as response_key
    from trusted

),

ranked as (

    select
        keyed.*,
        row_number() over (
            partition by keyed.response_key
            order by {{ earliest('keyed', 'orders') }}, keyed.record_no
        ) as rank
    from keyed
    left join {{ ref('int_session_order') }} as orders
        on keyed.session_id = orders.session_id

),

{# Records of one response grow: each counter's largest value is the final one. #}
responses as (

    select
        response_key,
        min(message_id) as message_id,
        min(doc_id) filter (where rank = 1) as doc_id,
        min(part) filter (where rank = 1) as part,
        max(request_id) as request_id,
        min(session_id) filter (where rank = 1) as session_id,
        min(host) filter (where rank = 1) as host,
        min(agent_id) filter (where rank = 1) as agent_id,
        bool_or(is_sidechain) filter (where rank = 1) as is_sidechain,
        min(found_in) as found_in,
        min(said_at) as responded_at,
        max_by(model, (coalesce(said_at, timestamp '1970-01-01'), off, record_no)) filter (
            where model is not null
        ) as model,
        max_by(stop_reason, (coalesce(said_at, timestamp '1970-01-01'), off, record_no)) filter (
            where stop_reason is not null
        ) as stop_reason,
        min(version_number) filter (where rank = 1) as version_number,
        bool_or(speed = 'fast') as is_fast,
        bool_or(coalesce(inference_geo = 'us', false)) as is_us_only,
        bool_or(coalesce(service_tier = 'batch', false)) as is_batch,
        max(service_tier) as service_tier,
        bool_or(has_usage) as has_usage,
        count(*) as records,
        count(distinct session_id) as sessions,
        max(input_tokens) as input_tokens,
        max(output_tokens) as output_tokens,
        max(cache_write_flat_tokens) as cache_write_flat_tokens,
        max(cache_write_5m_tokens) as cache_write_5m_tokens,
        max(cache_write_1h_tokens) as cache_write_1h_tokens,
        max(cache_read_tokens) as cache_read_tokens,
        max(web_search_requests) as web_search_requests,
        max(logged_cost_usd) as logged_cost_usd,
        max_by(iterations, (iteration_count, output_tokens, said_at, off)) filter (
            where iterations is not null
        ) as iterations
    from ranked
    group by response_key

)

select
    {% for column in columns -%}
        responses.{{ column }},
    {% endfor -%}
    -- A gateway's name may say what the usage does not.
    coalesce(responses.is_fast, names.is_named_fast, false) as is_fast,
    messages.entry_key,
    changed.version_run as updated_run
from responses
inner join changed on responses.session_id = changed.session_id
inner join stg_messages as messages
    on responses.doc_id = messages.doc_id and responses.part = messages.part
left join {{ ref('int_model_names') }} as names on responses.model = names.model
