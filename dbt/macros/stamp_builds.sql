{#
    Names the build of each incremental mart in the comment of its table, which goes
    when the table is rebuilt. So a reader that keeps a copy knows whether it may
    trust updated_run, or has to take the whole table again.
#}
{% macro stamp_builds() -%}
    {{ adapter.dispatch('stamp_builds', 'cclake')() }}
{%- endmacro %}


{% macro duckdb__stamp_builds() -%}
    {%- if execute and not only_statements() -%}
        {%- set found = [] -%}
        {%- for node in graph.nodes.values() -%}
            {%- if node.config.materialized == 'incremental' and node.config.schema == 'marts' -%}
                {%- do found.append("'" ~ node.name ~ "'") -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if found -%}
            {%- set unnamed = run_query(
                "select schema_name || '.' || table_name from duckdb_tables()"
                ~ " where comment is null and schema_name = 'marts'"
                ~ " and database_name = current_database()"
                ~ " and table_name in (" ~ found | join(', ') ~ ")"
            ) -%}
            {%- for row in unnamed.rows %}
            comment on table {{ row[0] }} is '{{ invocation_id }}';
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
