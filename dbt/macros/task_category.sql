{# What a prompt asks for, by its words. The first that fits wins. #}
{% macro task_category(text) -%}
    {%- call(text) by_row('text', text) -%}
    case
        when
            regexp_matches(
                lower({{ text }}),
                '\b(fix|bug|error|broken|fail(s|ed|ing|ure)?|crash(es|ed)?|debug|wrong|issue)\b'
            )
            then 'bugfix'
        when
            regexp_matches(
                lower({{ text }}), '\b(test(s|ed|ing)?|coverage|pytest|unittest|spec)\b'
            )
            then 'testing'
        when
            regexp_matches(
                lower({{ text }}),
                '\b(refactor(ing)?|clean ?up|rename|simplify|restructure|extract)\b'
            )
            then 'refactoring'
        when
            regexp_matches(
                lower({{ text }}),
                '\b(document(ation)?|docs|readme|comment(s)?|docstring(s)?|changelog)\b'
            )
            then 'documentation'
        when
            regexp_matches(
                lower({{ text }}),
                '\b(review|explain|why|what|how|understand|analy[sz]e|investigate|look at)\b'
            )
            and not regexp_matches(
                lower({{ text }}), '\b(add|create|implement|build|write)\b'
            )
            then 'analysis'
        when
            regexp_matches(
                lower({{ text }}),
                '\b(deploy|release|docker|ci|pipeline|config(ure)?|install|upgrade|setup|set up|commit|push|merge)\b'
            )
            then 'operations'
        when
            regexp_matches(
                lower({{ text }}),
                '\b(add|create|implement|build|write|make|feature|new|support)\b'
            )
            then 'feature'
        else 'other'
    end
    {%- endcall %}
{%- endmacro %}
