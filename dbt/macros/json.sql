{#
    Text that DuckDB accepts as JSON, or null. Half of a surrogate pair is legal
    in the log but not in UTF-8: in such a line the escapes become U+FFFD.
#}
{% macro valid_json(column) -%}
    {%- call(text) by_row('text', column) -%}
    case
        when {{ text }} is null then null
        when json_valid({{ text }}) then {{ text }}
        when
            json_valid(
                regexp_replace(
                    {{ text }}, '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g'
                )
            )
            then
                regexp_replace(
                    {{ text }}, '\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\\ufffd', 'g'
                )
    end
    {%- endcall %}
{%- endmacro %}


{# The text of a file: of its record, or of its bytes if they are UTF-8. #}
{% macro decoded(entry, raw) -%}
    {%- call(text, bytes) by_row('text', entry, raw) -%}
        coalesce({{ text }}, try(decode({{ bytes }})))
    {%- endcall %}
{%- endmacro %}


{# Many paths of one text in one pass: a list of strings, in the order given. #}
{% macro json_strings(column, paths) -%}
    {%- call(text) by_row('texts', column) -%}
    json_extract_string(
        {{ text }},
        [
        {%- for path in paths %}
            '$.{{ path }}'{{ ',' if not loop.last }}
        {%- endfor %}
        ]
    )
    {%- endcall %}
{%- endmacro %}


{# The number of elements of a list in JSON. #}
{% macro json_length(column, path) -%}
    {%- call(text) by_row('bigint', column) -%}
        json_array_length({{ text }}, '{{ path }}')
    {%- endcall %}
{%- endmacro %}


{# The elements of a list in JSON, as JSON; and one path of each of them, as text. #}
{% macro json_elements(column, path) -%}
    {{ adapter.dispatch('json_elements', 'cclake')(column, path) }}
{%- endmacro %}

{% macro duckdb__json_elements(column, path) -%}
    json_extract({{ column }}, '{{ path }}')
{%- endmacro %}

{% macro spark__json_elements(column, path) -%}
    duckdb_texts({{ quoted("json_extract(a, '" ~ path ~ "')") }}, {{ column }})
{%- endmacro %}

{% macro json_texts(column, path) -%}
    {%- call(text) by_row('texts', column) -%}
        json_extract_string({{ text }}, '{{ path }}')
    {%- endcall %}
{%- endmacro %}


{# The n-th of such a list, by the path that it was asked for. #}
{% macro picked(list, paths, path) -%}
    {{ list_item(list, paths.index(path) + 1) }}
{%- endmacro %}


{# The n-th element of a list, from 1. #}
{% macro list_item(list, number) -%}
    {{ adapter.dispatch('list_item', 'cclake')(list, number) }}
{%- endmacro %}

{% macro duckdb__list_item(list, number) -%}
    {{ list }}[{{ number }}]
{%- endmacro %}

{% macro spark__list_item(list, number) -%}
    {%- if number is number -%}
        {{ list }}[{{ number - 1 }}]
    {%- else -%}
        get({{ list }}, {{ number }} - 1)
    {%- endif -%}
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
    {%- call(value) by_row('bigint', text) -%}
    case
        when try_cast({{ value }} as bigint) between 0 and 1000000000
            then try_cast({{ value }} as bigint)
    end
    {%- endcall %}
{%- endmacro %}


{# A whole number, or null. #}
{% macro whole_number(text) -%}
    {%- call(value) by_row('bigint', text) -%}
        try_cast({{ value }} as bigint)
    {%- endcall %}
{%- endmacro %}


{# A number with at most ten decimals as text, or null. #}
{% macro decimal_text(text) -%}
    {{ adapter.dispatch('decimal_text', 'cclake')(text) }}
{%- endmacro %}

{% macro duckdb__decimal_text(text) -%}
    try_cast({{ text }} as decimal(20, 10))
{%- endmacro %}

{% macro spark__decimal_text(text) -%}
    duckdb_text('cast(try_cast(a as decimal(20, 10)) as string)', {{ text }})
{%- endmacro %}


{# A list of JSON as one JSON text. #}
{% macro json_list(list) -%}
    {{ adapter.dispatch('json_list', 'cclake')(list) }}
{%- endmacro %}

{% macro duckdb__json_list(list) -%}
    cast(to_json({{ list }}) as string)
{%- endmacro %}

{% macro spark__json_list(list) -%}
    duckdb_text({{ quoted("'[' || array_to_string(a, ',') || ']'") }}, {{ list }})
{%- endmacro %}


{# A time of the log as a timestamp in UTC, or null. #}
{% macro log_time(text) -%}
    {{ adapter.dispatch('log_time', 'cclake')(text) }}
{%- endmacro %}

{% macro duckdb__log_time(text) -%}
    cast(try_cast({{ text }} as timestamptz) as timestamp)
{%- endmacro %}

{% macro spark__log_time(text) -%}
    cast(
        timestamp_micros(
            duckdb_bigint('epoch_us(try_cast(a as timestamptz))', {{ text }})
        ) as timestamp_ntz
    )
{%- endmacro %}
