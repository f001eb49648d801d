{#
    The rows of a relation, few at a time where their text is long. DuckDB takes 2,048
    rows through a step together and holds all that it makes of them: of lines with
    images, gigabytes. Here each row is followed by one that is dropped for each 512 bytes of
    its text, so that 2,048 of them are 1 MB of text, or one row. Short rows cost nothing.
#}
{% macro few_at_a_time(relation, text) -%}
    {{ adapter.dispatch('few_at_a_time', 'cclake')(relation, text) }}
{%- endmacro %}


{% macro spark__few_at_a_time(relation, text) -%}
    {{ relation }}
{%- endmacro %}


{% macro duckdb__few_at_a_time(relation, text) -%}
    (
        select * exclude (piece)
        from
            (
                select
                    *,
                    unnest(range(1 + coalesce(strlen({{ text }}), 0) // 512)) as piece
                from {{ relation }}
            )
        where piece = 0
    )
{%- endmacro %}
