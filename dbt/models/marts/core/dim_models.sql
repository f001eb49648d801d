{{ config(materialized='table') }}

with models as (

    select
        model,
        sum(model_responses) as responses,
        min(first_responded_at) as first_used_at,
        max(last_responded_at) as last_used_at
    from {{ ref('agg_response_quarters') }}
    where model is not null
    group by model

)

select
    model,
    coalesce(
        nullif(regexp_extract(lower(model), '(opus|sonnet|haiku|fable|mythos)', 1), ''), 'other'
    ) as family,
    {{ is_in(price_model('model'), ref('int_model_prices'), 'price_model') }} as is_priced,
    cast(responses as integer) as responses,
    first_used_at,
    last_used_at
from models
