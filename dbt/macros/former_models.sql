{#
    After a full refresh, drops what an earlier version of the project built and this one
    does not have: nobody should read a table that is not renewed any more.
#}
{% macro drop_former_models() -%}
    {{ adapter.dispatch('drop_former_models', 'cclake')() }}
{%- endmacro %}


{% macro duckdb__drop_former_models() -%}
    {%- if execute and flags.FULL_REFRESH and builds_models(selected_resources) -%}
        {%- set known = ['intermediate.build_state'] -%}
        {%- for node in graph.nodes.values() if node.resource_type in ('model', 'seed') -%}
            {%- if node.config.materialized != 'ephemeral' -%}
                {%- do known.append(node.schema ~ '.' ~ node.alias) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- set found = run_query(
            "select table_schema || '.' || table_name, table_type"
            ~ " from information_schema.tables"
            ~ " where table_catalog = current_database()"
            ~ " and table_schema in ('staging', 'intermediate', 'marts')"
        ) -%}
        {%- for name, kind in found.rows if name not in known %}
    drop {{ 'view' if kind == 'VIEW' else 'table' }} if exists {{ name }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
