{#
    The order among copies of one thing: earliest first, then the session that stands
    first (`owner_rank` of int_session_order), then the main thread, then a stable place.
#}
{% macro earliest(alias, orders) -%}
    {{ alias }}.said_at nulls last,
    coalesce({{ orders }}.owner_rank, 0),
    {{ alias }}.is_sidechain,
    {{ alias }}.source_file,
    {{ alias }}.host,
    {{ alias }}.gen,
    {{ alias }}.off,
    {{ alias }}.doc_id,
    {{ alias }}.part
{%- endmacro %}
