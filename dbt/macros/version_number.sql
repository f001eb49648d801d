{# '2.1.97' as 2001097, so that versions compare as numbers; null for others, and for
   numbers of four digits, which fit into no integer. #}
{% macro version_number(column) -%}
    {%- call(column) by_row('bigint', column) -%}
    case
        when regexp_matches({{ column }}, '^\d{1,3}\.\d{1,3}\.\d{1,3}')
            then
                cast(split_part({{ column }}, '.', 1) as integer) * 1000000
                + cast(split_part({{ column }}, '.', 2) as integer) * 1000
                + cast(
                    regexp_extract(
                        split_part({{ column }}, '.', 3), '^\d{1,3}'
                    ) as integer
                )
    end
    {%- endcall %}
{%- endmacro %}
