{#
    The unit of incremental work is the session. int_session_versions says for
    each session which extraction run last touched anything that its rows depend
    on. A model that is built by session holds that number in updated_run, and
    recomputes the sessions whose number has risen since.
#}

{#
    `also` is a condition that marks every session as changed.
#}
{% macro changed_sessions(also=none) -%}
    {%- set more = ' or ' ~ also if also and is_incremental() else '' -%}
    select
        session_id,
        version_run
    from {{ ref('int_session_versions') }}
    where version_run > {{ seen_run() }}{{ more }}
{%- endmacro %}


{# The newest run that this model has seen; -1 when it is built anew. #}
{% macro seen_run() -%}
    {%- set seen = '(select coalesce(max(updated_run), -1) from ' ~ this ~ ')' -%}
    {{ seen if is_incremental() else -1 }}
{%- endmacro %}


{#
    Rows of changed sessions, of a model that has updated_run itself. DuckDB passes
    the number on to the scan, which then reads only the newest parts of the table.
    With `priced`, all rows where other prices have been applied since: such a model
    keeps the price list that its rows were made with.
#}
{% macro newer(alias, priced=false) -%}
    {%- set seen = 'coalesce(max(updated_run), -1)' -%}
    {%- if priced -%}
        {%- set same = "coalesce(any_value(price_list), '') = " ~ price_list() -%}
        {%- set seen = 'case when ' ~ same ~ ' then ' ~ seen ~ ' else -1 end' -%}
    {%- endif -%}
    {%- set found = alias ~ '.updated_run > (select ' ~ seen ~ ' from ' ~ this ~ ')' -%}
    {{ found if is_incremental() else true }}
{%- endmacro %}


{# The price list that the responses were priced with. #}
{% macro price_list() -%}
    {%- set list = "coalesce(any_value(priced.price_list), '')" -%}
    {{ '(select ' ~ list ~ ' from ' ~ ref('fct_api_responses') ~ ' as priced)' }}
{%- endmacro %}


{# The incremental strategy "session": all rows of a changed session are replaced. #}
{% macro get_incremental_session_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set columns = get_quoted_csv(
        arg_dict['dest_columns'] | map(attribute='name')
    ) -%}
    delete from {{ target }}
    where session_id in (
        select session_id
        from {{ ref('int_session_versions') }}
        where
            version_run > (
                select coalesce(max(updated_run), -1) from {{ target }}
            )
    )
    or session_id in (
        select session_id from {{ arg_dict['temp_relation'] }}
    );
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
{% endmacro %}


{# Only rows that a later extraction brought: for models with one row per line. #}
{% macro new_lines(alias) -%}
    {%- if is_incremental() -%}
    {{ alias }}.extract_run > (
        select coalesce(max(extract_run), -1) from {{ this }}
    )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
