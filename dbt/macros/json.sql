{#
    Text that DuckDB accepts as JSON, or null. Half of a surrogate pair is legal
    in the log but not in UTF-8: in such a line the escapes become U+FFFD.
#}
{% macro valid_json(column) -%}
    case
        when {{ column }} is null then null
        when json_valid({{ column }}) then {{ column }}
        when
            json_valid(
                regexp_replace(
                    {{ column }}, '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g'
                )
            )
            then
                regexp_replace(
                    {{ column }}, '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g'
                )
    end
{%- endmacro %}


{# Many paths of one text in one pass: a list of strings, in the order given. #}
{% macro json_strings(column, paths) -%}
    json_extract_string(
        {{ column }},
        [
    {%- for path in paths %}
            '$.{{ path }}'{{ ',' if not loop.last }}
    {%- endfor %}
        ]
    )
{%- endmacro %}


{# The n-th of such a list, by the path that it was asked for. #}
{% macro picked(list, paths, path) -%}
    {{ list }}[{{ paths.index(path) + 1 }}]
{%- endmacro %}


{# A name: text that is neither empty nor an object nor a list. #}
{% macro scalar(text) -%}
    case
        when
            {{ text }} <> '' and left({{ text }}, 1) not in ('{', '[')
            then {{ text }}
    end
{%- endmacro %}


{# A count: a whole number from 0 to a milliard, or null where it is anything else. #}
{% macro tokens(text) -%}
    case
        when try_cast({{ text }} as bigint) between 0 and 1000000000
            then try_cast({{ text }} as bigint)
    end
{%- endmacro %}


{# A time of the log as a timestamp in UTC, or null. #}
{% macro log_time(text) -%}
    cast(try_cast({{ text }} as timestamptz) as timestamp)
{%- endmacro %}
