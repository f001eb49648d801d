{#
    On Spark, each run builds every table whole, and keeps no record of its state:
    `just spark` gives readers only what is complete.
#}
{% macro spark__begin_build() %}{% endmacro %}


{% macro spark__end_build() %}{% endmacro %}


{% macro spark__drop_former_models() %}{% endmacro %}


{% macro spark__stamp_builds() %}{% endmacro %}


{% materialization table, adapter='spark' %}
    {{ return(spark_table()) }}
{% endmaterialization %}


{% materialization incremental, adapter='spark' %}
    {{ return(spark_table()) }}
{% endmaterialization %}


{% materialization view, adapter='spark' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- call statement('main') -%}
        create or replace view {{ target }} as
        {{ compiled_code }}
    {%- endcall -%}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% macro spark_table() -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- call statement('drop') -%}
        drop table if exists {{ target }}
    {%- endcall -%}
    {%- call statement('main') -%}
        create table {{ target }} as
        {{ model.compiled_code }}
    {%- endcall -%}
    {{ return({'relations': [target]}) }}
{%- endmacro %}


{# Values of a seed as literals: the adapter's own would write None for a null. #}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set rows = [] -%}
    {%- for row in agate_table.rows -%}
        {%- set values = [] -%}
        {%- for column in agate_table.column_names -%}
            {%- set value = row[column] -%}
            {%- set literal = 'null' if value is none else quoted(value | string) -%}
            {%- do values.append(
                'cast(' ~ literal ~ ' as ' ~ types.get(column, 'string') ~ ')'
            ) -%}
        {%- endfor -%}
        {%- do rows.append('(' ~ values | join(', ') ~ ')') -%}
    {%- endfor -%}
    {%- do adapter.add_query(
        'insert into ' ~ this.render() ~ ' values ' ~ rows | join(', ')
    ) -%}
    {{ return('values') }}
{%- endmacro %}
