{#
    The order among copies of one thing: earliest first, then the main thread,
    then a stable place. It never looks at the time or order of arrival.
#}
{% macro earliest(alias) -%}
    {{ alias }}.said_at nulls last,
    {{ alias }}.is_sidechain,
    {{ alias }}.source_file,
    {{ alias }}.host,
    {{ alias }}.gen,
    {{ alias }}.off,
    {{ alias }}.doc_id,
    {{ alias }}.part
{%- endmacro %}
