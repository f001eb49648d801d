{#
    Quarters of an hour, numbered from 1970: in every time zone, each belongs to one
    hour and to one day.
#}
{% macro quarter_no(at) -%}
    {{ quotient(millis(at), 900000) }}
{%- endmacro %}


{% macro quarter_start(number='quarter_no') -%}
    {{ at_millis(number ~ ' * 900000') }}
{%- endmacro %}


{# The number of a weekday, from Monday as 1. #}
{% macro weekday_number(day) -%}
    {%- call(value) by_row('bigint', day) -%}
        isodow({{ value }})
    {%- endcall %}
{%- endmacro %}


{# The day in UTC. #}
{% macro quarter_day(number='quarter_no') -%}
    cast({{ quarter_start(number) }} as date)
{%- endmacro %}


{#
    A duration as two hexadecimal digits; each step is 8 % longer, and `ff` is three
    days and more.
#}
{% macro duration_code(ms) -%}
    {%- call(value) by_row('text', ms) -%}
    format(
        '{:02x}',
        cast({{ at_most('floor(ln(' ~ at_least(value, 1) ~ ') / ln(1.08))', 255) }} as integer)
    )
    {%- endcall %}
{%- endmacro %}
