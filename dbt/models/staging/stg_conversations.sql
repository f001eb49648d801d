with source as (

    select * from {{ source('raw', 'conversations') }}

),

{#
    Half of a surrogate pair is an error to one parser and none to another: such a line
    can be read, and its record was salvaged as well. It counts once, as salvaged.
#}
salvaged as (

    select doc_id
    from {{ source('raw', 'conversations') }}
    where part > 0

),

renamed as (

    select
        -- ids
        doc_id,
        part,
        file_key,
        {{ log_folder('source_file', 'project_id') }} as project_id,
        uuid,
        parent_uuid,
        message_id,
        request_id,
        agent_id,
        buffer,
        seq,
        extract_run,

        -- where
        record_kind,
        host,
        source_file,
        gen,
        off,
        len,
        cwd,
        git_branch,

        -- what
        type,
        subtype,
        model,
        version,
        is_sidechain,
        error,
        case
            when
                not (
                    part = 0
                    and error is not null
                    and {{ is_in('doc_id', 'salvaged', 'doc_id') }}
                )
                then entry
        end as entry,
        raw,

        nullif(session_id, '') as session_id,
        nullif(
            {{ file_agent('source_file') }}, ''
        ) as file_agent_id,
        source_file like '../%' as is_history,

        -- times
        {{ in_utc('timestamp') }} as said_at,
        {{ in_utc('ingested_at') }} as ingested_at
    from source

)

select * from renamed
