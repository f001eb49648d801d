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
        version_run,
        first_run
    from {{ ref('int_session_versions') }}
    where version_run > {{ seen_run() }}{{ more }}
{%- endmacro %}


{#
    The body of an import CTE: the rows of a table that the changed sessions can depend
    on. Older rows are left out, so that DuckDB does not read the older parts of the table.
    `run` is the extract_run of lines, or the updated_run of rows, which is never older
    than their lines. `own` says that only the rows of the changed sessions themselves are
    used. Write "as not materialized", so that DuckDB reads the used columns only.
#}
{% macro within_reach(relation, run, own=false) -%}
    {%- set only = ' and ' ~ among('few_sessions', 'session_id') if own else '' %}
    select *
    from {{ relation }}
    {%- if is_incremental() %}
    where {{ run }} >= (select min(changed.first_run) from changed){{ only }}
    {%- endif %}
{%- endmacro %}


{#
    Whether a variable's list has a value; true if it is null, because the list would be
    long. DuckDB knows the list when it plans, unlike that of a subquery, so the scan leaves
    other rows out, with all their columns, and joins are planned for few rows.
#}
{% macro among(variable, column) -%}
    (
        getvariable('{{ variable }}') is null
        or list_contains(getvariable('{{ variable }}'), {{ column }})
    )
{%- endmacro %}


{#
    Statements that set the variables which a model uses: the changed sessions, and the log
    files of their entries.
#}
{% macro set_variables(sql, target) -%}
    {%- if "'few_sessions'" in sql %}
    set variable few_sessions = (
        select case when count(*) <= {{ var('few_sessions', 50) }} then coalesce(list(session_id), []) end
        from {{ ref('int_session_versions') }}
        where version_run > (select coalesce(max(updated_run), -1) from {{ target }})
    );
    {%- endif %}
    {%- if "'few_files'" in sql %}
    set variable few_files = (
        select
            case
                when count(distinct messages.file_key) <= 200
                    then coalesce(list(distinct messages.file_key), [])
            end
        from {{ ref('int_canonical_entries') }} as entries
        inner join {{ ref('stg_messages') }} as messages
            on entries.doc_id = messages.doc_id and entries.part = messages.part
        where {{ among('few_sessions', 'entries.session_id') }}
    );
    {%- endif %}
{%- endmacro %}


{# The newest run that this model has seen; -1 in a full build. #}
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
        {%- set same = kept_prices(this) ~ ' = ' ~ price_list() -%}
        {%- set seen = 'case when ' ~ same ~ ' then ' ~ seen ~ ' else -1 end' -%}
    {%- endif -%}
    {%- set found = alias ~ '.updated_run > (select ' ~ seen ~ ' from ' ~ this ~ ')' -%}
    {{ found if is_incremental() else true }}
{%- endmacro %}


{# The price list that the responses were priced with. #}
{% macro price_list() -%}
    {{ kept_prices(ref('fct_api_responses')) }}
{%- endmacro %}


{# The price list of a table, which all of its rows have: one of them is looked at. #}
{% macro kept_prices(relation) -%}
    {%- set one = 'select kept.price_list from ' ~ relation ~ ' as kept limit 1' -%}
    {{ "coalesce((" ~ one ~ "), '')" }}
{%- endmacro %}


{# The incremental strategy "session": all rows of a changed session are replaced. #}
{% macro delete_sessions(target, rows) -%}
    {%- set versions = ref('int_session_versions') -%}
    {%- set gone -%}
    select session_id
    from {{ versions }}
    where version_run > (select coalesce(max(updated_run), -1) from {{ target }})
    union
    select session_id
    from {{ rows }}
    {%- endset -%}
    delete from {{ target }}
    where
        session_id in ({{ gone }})
        and updated_run >= (
            select min(first_run)
            from {{ versions }}
            where session_id in ({{ gone }})
        )
{%- endmacro %}


{#
    Only rows that a later extraction brought: for models with one row per line. A
    build in parts gives `up_to_run`, the newest extraction of its part. `run` is the
    column of this model that says which were seen. A table of rare lines, images for
    example, also goes by the last whole build; else it would read all lines since the
    last such one.
#}
{% macro new_lines(alias, run='extract_run') -%}
    {%- set end = var('up_to_run', none) -%}
    {{ '' if end is none else alias ~ '.extract_run <= ' ~ end ~ ' and ' }}
    {%- if is_incremental() -%}
    {{ alias }}.extract_run > (
        select coalesce(max({{ run }}), -1) from {{ this }}
    ) and {{ after_last_build(alias) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}


{% macro after_last_build(alias) -%}
    {{ alias }}.extract_run > (
        select coalesce(max(seen_run), -1) from intermediate.build_state
    )
{%- endmacro %}
