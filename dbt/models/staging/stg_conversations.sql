with source as (

    select * from {{ source('raw', 'conversations') }}

),

renamed as (

    select
        -- ids
        doc_id,
        part,
        file_key,
        project_id,
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
        entry,
        raw,

        -- The session of a line is what the line says; a line without one
        -- belongs to the session that its file is named after.
        nullif(
            case
                when source_file like '../%' then session_id
                when uuid is null and source_file like '%/subagents/%'
                    then regexp_extract(
                            source_file, '([^/]+)/subagents/', 1
                        )
                else session_id
            end,
            ''
        ) as session_id,
        nullif(
            regexp_extract(source_file, '(?:^|/)agent-([^/]+)\.jsonl$', 1), ''
        ) as file_agent_id,
        source_file like '../%' as is_history,

        -- times
        cast(timestamp as timestamp) as said_at,
        cast(ingested_at as timestamp) as ingested_at
    from source

)

select * from renamed
