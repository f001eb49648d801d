{# Lines of a text: a last newline ends a line, it does not begin one. #}
{% macro line_count(text) -%}
    case
        when {{ text }} is null then null
        when {{ text }} = '' then 0
        else
            len(string_split({{ text }}, chr(10)))
            - case when suffix({{ text }}, chr(10)) then 1 else 0 end
    end
{%- endmacro %}
