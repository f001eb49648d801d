{#
    Key of something that has a name of its own: 16 hex digits. Keys stand in every table
    and index; with 64 bits two of ten million are alike once in 400,000 archives.
#}
{% macro key_of(name) -%}
    left(md5({{ name }}), 16)
{%- endmacro %}
