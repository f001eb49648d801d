{# How many of a list of lines begin with a sign. #}
{% macro lines_with(lines, sign) -%}
    {%- call(list) by_row('bigint', lines) -%}
        len(list_filter({{ list }}, lambda line: starts_with(line, '{{ sign }}')))
    {%- endcall %}
{%- endmacro %}


{# A text in one line. #}
{% macro one_line(text) -%}
    {%- call(words) by_row('text', text) -%}
        trim(regexp_replace({{ words }}, '\s+', ' ', 'g'))
    {%- endcall %}
{%- endmacro %}


{# Lines of a text: a last newline ends a line, it does not begin one. #}
{% macro line_count(text) -%}
    {%- call(text) by_row('bigint', text) -%}
    case
        when {{ text }} is null then null
        when {{ text }} = '' then 0
        else
            len(string_split({{ text }}, chr(10)))
            - case when suffix({{ text }}, chr(10)) then 1 else 0 end
    end
    {%- endcall %}
{%- endmacro %}
