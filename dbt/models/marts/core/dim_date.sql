{{ config(materialized='table') }}

with bounds as (

    select
        coalesce(min({{ quarter_day() }}), date '2025-01-01') as first_day,
        coalesce(max({{ quarter_day() }}), date '2025-01-01') as last_day
    from {{ ref('agg_message_quarters') }}
    where {{ quarter_start() }} between timestamp '2020-01-01' and timestamp '2100-01-01'

),

days as (

    select {{ days_between('first_day', 'last_day') }} as day
    from bounds

)

select
    cast(day as date) as date_day,
    cast(year(day) as integer) as year,
    cast(quarter(day) as integer) as quarter,
    cast(month(day) as integer) as month,
    {% call(value) by_row('text', 'day') %}strftime({{ value }}, '%Y-%m'){% endcall %} as year_month,
    cast({% call(value) by_row('bigint', 'day') %}isoyear({{ value }}){% endcall %} as integer) as iso_year,
    cast({% call(value) by_row('bigint', 'day') %}week({{ value }}){% endcall %} as integer) as iso_week,
    cast(date_trunc('week', day) as date) as week_start,
    cast(day(day) as integer) as day_of_month,
    cast({{ weekday_number('day') }} as integer) as iso_weekday,
    {% call(value) by_row('text', 'day') %}dayname({{ value }}){% endcall %} as weekday_name,
    {{ weekday_number('day') }} > 5 as is_weekend
from days
