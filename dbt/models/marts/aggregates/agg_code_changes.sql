{{ config(materialized='table') }}

select
    cast(called_at as date) as date_day,
    project_key,
    coalesce(file_extension, '') as file_extension,
    cast(count(*) as integer) as operations,
    cast(count(*) filter (where operation = 'read') as integer) as reads,
    cast(count(*) filter (where operation = 'create') as integer) as creates,
    cast(count(*) filter (where operation = 'write') as integer) as writes,
    cast(count(*) filter (where operation = 'edit') as integer) as edits,
    cast(count(*) filter (where is_error) as integer) as failed_operations,
    cast(
        count(distinct file_path) filter (
            where operation <> 'read' and not is_error
        ) as integer
    ) as files_changed,
    cast(coalesce(sum(lines_added), 0) as bigint) as lines_added,
    cast(coalesce(sum(lines_removed), 0) as bigint) as lines_removed
from {{ ref('fct_file_operations') }}
where called_at is not null
group by cast(called_at as date), project_key, coalesce(file_extension, '')
