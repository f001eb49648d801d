{{ config(materialized='table') }}

{# Each name is parsed once here, not in each of its rows. #}

with logged as (

    select model from {{ ref('stg_messages') }}
    where model is not null
    union
    select model from {{ ref('stg_usage') }}
    where model is not null
    union
    select {{ every(json_texts('iterations', '$[*].model')) }} as model
    from {{ ref('stg_usage') }}
    where iterations is not null

),

named as (

    select
        model,
        {{ is_claude('model') }} as is_claude,
        {{ price_model('model') }} as price_model,
        {{ model_provider('model') }} as provider,
        {{ is_named_fast('model') }} as is_named_fast,
        {{ is_regional('model') }} as is_regional
    from logged
    where model <> ''

)

select
    model,
    price_model,
    provider,
    case
        when is_claude then price_model || coalesce(' (' || provider || ')', '')
        else model
    end as model_name,
    is_named_fast,
    is_regional
from named
