{#
    Whether gold is whole: `intermediate.build_state` says no from the first model of a
    run to its end, and still says so when the run breaks off or a model fails.
    Then some tables know sessions that others do not, and nobody should publish them.
    `seen_run` is the newest extraction that a whole build has taken over.
#}
{% macro begin_build() -%}
    {{ adapter.dispatch('begin_build', 'cclake')() }}
{%- endmacro %}


{% macro duckdb__begin_build() -%}
    {%- if execute and builds_models(selected_resources) and not only_statements() %}
    create schema if not exists intermediate;
    create table if not exists intermediate.build_state (is_whole boolean, was_whole boolean);
    alter table intermediate.build_state add column if not exists seen_run bigint;
    insert into intermediate.build_state (is_whole, was_whole)
    select
        true,
        true
    where not exists (select 1 from intermediate.build_state);
    update intermediate.build_state
    set
        was_whole = is_whole,
        is_whole = false,
        seen_run = {{ 'null' if flags.FULL_REFRESH else 'seen_run' }};
    {%- endif -%}
{%- endmacro %}


{#
    A part of the models makes gold whole only where it was before, and a part of the
    lines (`up_to_run`) never does.
#}
{% macro end_build() -%}
    {{ adapter.dispatch('end_build', 'cclake')() }}
{%- endmacro %}


{% macro duckdb__end_build() -%}
    {%- if execute and builds_models(selected_resources) and not only_statements() %}
        {%- set built, broken, missing = [], [], [] -%}
        {%- for result in results if result.node.resource_type == 'model' -%}
            {%- set ended = built if result.status == 'success' else broken -%}
            {%- do ended.append(result.node.unique_id) -%}
        {%- endfor -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' -%}
            {%- if node.config.materialized != 'view' and node.unique_id not in built -%}
                {%- do missing.append(node.unique_id) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if not broken and var('up_to_run', none) is none %}
            {%- if missing %}
    update intermediate.build_state set is_whole = was_whole;
            {%- else %}
    update intermediate.build_state
    set
        is_whole = true,
        seen_run = (select max(extract_run) from {{ source('raw', 'conversations') }});
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{# Tests, seeds and documentation leave gold as it is. #}
{% macro builds_models(selected) -%}
    {%- set names = ' ' ~ selected | join(' ') -%}
    {{ return(flags.WHICH in ('run', 'build', 'retry') and ' model.' in names) }}
{%- endmacro %}
