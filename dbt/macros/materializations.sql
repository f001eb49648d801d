{#
    The two materializations of this project, in place of those of dbt-duckdb, which look
    up columns, rename and drop for each model: for a few new lines that takes longer than
    the work. What a model does is one text of statements. Where `only_statements` is set,
    dbt writes it and does nothing: the pipeline runs it for the next lines.
#}
{% materialization table, adapter='duckdb' %}
    {%- set target = table_in_place_of(load_cached_relation(this)) -%}
    {%- set statements -%}
        {{ make_table(target, compiled_code) }}
        {{ hooks_after(post_hooks) }}
    {%- endset -%}
    {%- do run_statements(statements) -%}
    {% do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% materialization incremental, adapter='duckdb' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set goes_on = existing is not none and existing.is_table and not should_full_refresh() -%}
    {%- set target = table_in_place_of(existing) -%}
    {%- set rows = this.identifier ~ '__new' -%}
    {%- if goes_on and config.get('contract').enforced and not only_statements() -%}
        {%- do get_assert_columns_equivalent(compiled_code) -%}
    {%- endif -%}
    {%- set statements -%}
        {% if goes_on -%}
            {% if config.get('incremental_strategy') == 'session' -%}
                {{ set_variables(compiled_code, target) }}
            {%- endif %}
            create or replace temporary table {{ rows }} as (
                {{ compiled_code }}
            );
            {% if config.get('incremental_strategy') == 'session' -%}
                {{ delete_sessions(target, rows) }};
            {%- else -%}
                {{ delete_keys(target, rows, config.get('unique_key')) }}
            {%- endif %}
            insert into {{ target }} by name
            select *
            from {{ rows }};
        {%- else -%}
            {{ make_table(target, compiled_code) }}
        {%- endif %}
        {{ hooks_after(post_hooks) }}
    {%- endset -%}
    {%- do run_statements(statements) -%}
    {%- if goes_on and not only_statements() -%}
        {%- do fail_for_lost_columns(target, rows) -%}
    {%- endif -%}
    {% do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% macro only_statements() -%}
    {{ return(var('only_statements', false)) }}
{%- endmacro %}


{% macro run_statements(statements) -%}
    {%- if only_statements() -%}
        {%- call noop_statement('main', 'written', 'written', 0) -%}
            {{ statements }}
        {%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%}
            {{ statements }}
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}


{# The table of this model; a view of its name is dropped. #}
{% macro table_in_place_of(existing) -%}
    {%- if existing is not none and not existing.is_table and not only_statements() -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {{ return(this.incorporate(type='table')) }}
{%- endmacro %}


{# With the columns and constraints of its contract, where it has one. #}
{% macro make_table(target, compiled_code) -%}
    drop table if exists {{ target }};
    {{ create_table_as(False, target, compiled_code) }};
{%- endmacro %}


{% macro hooks_after(hooks) -%}
    {%- for hook in hooks %}
        {{ render(hook.get('sql')) }};
    {%- endfor -%}
{%- endmacro %}


{% macro delete_keys(target, rows, unique_key) -%}
    {%- set keys = [unique_key] if unique_key is string else unique_key -%}
    delete from {{ target }} as kept
    using {{ rows }} as came
    where
        {% for key in keys -%}
            kept.{{ key }} = came.{{ key }}{{ ' and ' if not loop.last }}
        {%- endfor %};
{%- endmacro %}


{# A column more in the model is an error of the insert; one less would be null forever. #}
{% macro fail_for_lost_columns(target, rows) -%}
    {%- set lost = run_query(
        "select string_agg(name, ', ') from pragma_table_info('" ~ target ~ "')"
        ~ " where name not in (select name from pragma_table_info('" ~ rows ~ "'))"
    ) -%}
    {%- if lost.rows[0][0] -%}
        {%- do exceptions.raise_compiler_error(
            'the model has no ' ~ lost.rows[0][0] ~ ' any more: run it once with --full-refresh'
        ) -%}
    {%- endif -%}
{%- endmacro %}
