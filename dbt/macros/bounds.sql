{#
    DuckDB's least and greatest ignore nulls: least(null, 300) is 300. With these macros
    what is unknown stays unknown. Nothing else calls the two functions.
#}
{% macro at_most(value, limit) -%}
    case when {{ value }} is not null then least({{ value }}, {{ limit }}) end
{%- endmacro %}


{% macro at_least(value, limit) -%}
    case when {{ value }} is not null then greatest({{ value }}, {{ limit }}) end
{%- endmacro %}


{# The smaller one of two, or the one that is known. #}
{% macro least_known(one, other) -%}
    least({{ one }}, {{ other }})
{%- endmacro %}


{# The largest one of several, or of those that are known. #}
{% macro greatest_known() -%}
    greatest({{ varargs | join(', ') }})
{%- endmacro %}
