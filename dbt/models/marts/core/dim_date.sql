{{ config(materialized='table') }}

with bounds as (

    select
        coalesce(min({{ quarter_day() }}), date '2025-01-01') as first_day,
        coalesce(max({{ quarter_day() }}), date '2025-01-01') as last_day
    from {{ ref('agg_message_quarters') }}
    where {{ quarter_start() }} between timestamp '2020-01-01' and timestamp '2100-01-01'

),

days as (

    select unnest(generate_series(first_day, last_day, interval 1 day)) as day
    from bounds

)

select
    cast(day as date) as date_day,
    cast(year(day) as integer) as year,
    cast(quarter(day) as integer) as quarter,
    cast(month(day) as integer) as month,
    strftime(day, '%Y-%m') as year_month,
    cast(isoyear(day) as integer) as iso_year,
    cast(week(day) as integer) as iso_week,
    cast(date_trunc('week', day) as date) as week_start,
    cast(day(day) as integer) as day_of_month,
    cast(isodow(day) as integer) as iso_weekday,
    dayname(day) as weekday_name,
    isodow(day) > 5 as is_weekend
from days
