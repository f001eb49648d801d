{# What an IDE or Claude Code wraps around that the user did not type. #}
{% macro context_pattern() -%}
    {%- set found = [] -%}
    {%- for tag in ['ide_opened_file', 'ide_selection', 'ide_diagnostics', 'system-reminder'] -%}
        {%- do found.append('<' ~ tag ~ '(?:\\s[^>]*)?>.*?</' ~ tag ~ '>') -%}
    {%- endfor -%}
    (?s)({{ found | join('|') }})
{%- endmacro %}


{# The user's own words of a text. #}
{% macro without_context(text) -%}
    {%- call(text) by_row('text', text) -%}
    case
        when contains({{ text }}, '<')
            then regexp_replace({{ text }}, '{{ context_pattern() }}', '', 'g')
        else {{ text }}
    end
    {%- endcall %}
{%- endmacro %}


{# A text in its order: the user's words, and what was put between them. #}
{% macro context_parts(text) -%}
    list_filter(
        string_split(
            regexp_replace(
                {{ text }}, '{{ context_pattern() }}', chr(30) || '\1' || chr(30), 'g'
            ),
            chr(30)
        ),
        lambda piece: trim(piece, chr(10) || chr(13) || chr(9) || ' ') <> ''
    )
{%- endmacro %}


{% macro is_context(text) -%}
    {%- call(text) by_row('bool', text) -%}
        regexp_full_match({{ text }}, '{{ context_pattern() }}')
    {%- endcall %}
{%- endmacro %}
