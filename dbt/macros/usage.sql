{# Sums of tokens and money over API responses, or over rows that are such sums. #}
{% macro usage_sums() -%}
    {%- for kind in ['input', 'output', 'cache_write', 'cache_read', 'total'] %}
        sum({{ kind }}_tokens) as {{ kind }}_tokens,
    {%- endfor %}
        sum(cost_usd) as cost_usd
{%- endmacro %}


{# The token counts of a relation with such sums; 0 if it has no row. #}
{% macro token_columns(relation) -%}
    {%- for kind in ['input', 'output', 'cache_write', 'cache_read', 'total'] %}
    cast(coalesce({{ relation }}.{{ kind }}_tokens, 0) as bigint) as {{ kind }}_tokens{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# The cost of such a relation: 0 without responses, null if no response has a price. #}
{% macro cost_column(relation, key) -%}
    cast(
        case when {{ relation }}.{{ key }} is null then 0 else {{ relation }}.cost_usd end
        as decimal(20, 10)
    ) as cost_usd
{%- endmacro %}
