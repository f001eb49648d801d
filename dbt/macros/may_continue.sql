{# Lines so early in a main file that their parent may lie in another session. #}
{% macro may_continue() -%}
    parent_uuid is not null
    and agent_id is null
    and not is_sidechain
    and off < 65536
{%- endmacro %}
